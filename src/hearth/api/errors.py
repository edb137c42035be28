"""Errors of the API: each is one Kubernetes Status.

::

    ApiError
    ├── BadRequest            400
    ├── Unauthorized          401
    ├── Forbidden             403
    ├── NotFound              404
    │   └── NoSuchPath        404  (there is no such kind: said as plain text)
    ├── MethodNotAllowed      405
    ├── NotAcceptable         406
    ├── AlreadyExists         409
    ├── Conflict              409
    ├── Gone                  410  (resourceVersion too old: list again)
    ├── TooLarge              413
    ├── UnsupportedMediaType  415
    ├── Invalid               422  (carries the field errors)
    ├── TooManyRequests       429
    ├── InternalError         500
    ├── ServiceUnavailable    503
    └── Timeout               504

Source: k8s.io/apimachinery/pkg/api/errors and metav1.StatusReason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from hearth.api.meta import Wire


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault of one field, as in ``metav1.StatusCause``."""

    field: str  #: path, e.g. ``spec.template.spec.containers[0].image``
    message: str  #: what was found and what was expected
    reason: str = "FieldValueInvalid"


class ApiError(Exception):
    """Something the API answered or must answer; ``str()`` of it is the Status's message."""

    code: ClassVar[int] = 500
    reason: ClassVar[str] = "InternalError"

    def __init__(self, message: str, *, details: Wire | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def status(self) -> Wire:
        """The error as a ``metav1.Status`` of kind Failure."""
        wire: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if self.details is not None:
            wire["details"] = self.details
        return wire


class BadRequest(ApiError):
    """The request cannot be understood."""

    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    """Who asks is not known: no token, or a wrong one."""

    code, reason = 401, "Unauthorized"


class Forbidden(ApiError):
    """Who asks may not."""

    code, reason = 403, "Forbidden"


class NotFound(ApiError):
    """No such object, or no such resource."""

    code, reason = 404, "NotFound"


class NoSuchPath(NotFound):
    """Nothing is served under that path: neither an object nor a kind of objects.

    As in Kubernetes the answer is no Status: that is how clients (kn) tell that an API is not
    installed from that an object is not there.
    """

    def __init__(self) -> None:
        super().__init__("404 page not found")


class MethodNotAllowed(ApiError):
    """The resource does not support that verb."""

    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    """None of the media types the client accepts can be produced."""

    code, reason = 406, "NotAcceptable"


class AlreadyExists(ApiError):
    """An object of that name is there already."""

    code, reason = 409, "AlreadyExists"


class Conflict(ApiError):
    """Someone else wrote first; read again and retry."""

    code, reason = 409, "Conflict"


class Gone(ApiError):
    """The resourceVersion is older than what is kept; list again."""

    code, reason = 410, "Expired"


class TooLarge(ApiError):
    """The body is over the limit."""

    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    """The body's content type is not one we read."""

    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    """The object does not hold what its kind requires; ``details.causes`` names each field."""

    code, reason = 422, "Invalid"


class TooManyRequests(ApiError):
    """Come back later."""

    code, reason = 429, "TooManyRequests"


class InternalError(ApiError):
    """Our mistake; the log has more."""

    code, reason = 500, "InternalError"


class ServiceUnavailable(ApiError):
    """A part that is needed does not answer."""

    code, reason = 503, "ServiceUnavailable"


class Timeout(ApiError):
    """It took too long."""

    code, reason = 504, "Timeout"


_BY_REASON: dict[str, type[ApiError]] = {cls.reason: cls for cls in ApiError.__subclasses__()}
_BY_CODE: dict[int, type[ApiError]] = {}
for _cls in ApiError.__subclasses__():
    _BY_CODE.setdefault(_cls.code, _cls)


def error_from_status(code: int, wire: Wire) -> ApiError:
    """The exception for a Status that a server answered with; its reason wins over the code."""
    cls = _BY_REASON.get(str(wire.get("reason"))) or _BY_CODE.get(code) or InternalError
    return cls(str(wire.get("message") or f"HTTP {code}"), details=wire.get("details"))


def invalid(kind: str, group: str, name: str, faults: Sequence[FieldError]) -> Invalid:
    """An ``Invalid`` error whose message lists the field errors as Kubernetes does."""
    said = ", ".join(f"{f.field}: {f.message}" if f.field else f.message for f in faults)
    body = said if len(faults) == 1 else f"[{said}]"
    dotted = f"{kind}.{group}" if group else kind
    causes = [{"reason": f.reason, "message": f.message, "field": f.field} for f in faults]
    return Invalid(
        f'{dotted} "{name}" is invalid: {body}',
        details={"name": name, "group": group, "kind": kind, "causes": causes},
    )
