"""What is wrong with a field, in the words of Knative's FieldErrors.

Source: knative.dev/pkg apis/field_error.go.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, TypeAlias

from hearth.api.errors import FieldError
from hearth.api.meta import Wire

Faults: TypeAlias = Iterator[FieldError]


def missing(path: str) -> FieldError:
    """The field must be there."""
    return FieldError(path, f"missing field(s): {path}", "FieldValueRequired")


def disallowed(*paths: str) -> FieldError:
    """The fields must not be there."""
    said = f"must not set the field(s): {', '.join(sorted(paths))}"
    return FieldError(min(paths), said, "FieldValueForbidden")


#: Fields for which false is the same as nothing; for others it is a wish.
_FALSE_IS_NOTHING = frozenset({
    "hostNetwork", "hostPID", "hostIPC", "setHostnameAsFQDN", "stdin", "stdinOnce", "tty",
    "privileged",
})  # fmt: skip


def not_allowed(wire: Wire, allowed: Collection[str], path: str) -> Faults:
    """Fields that are set and are not among those that may be."""
    found = [f"{path}.{name}" for name in wire if name not in allowed and _is_set(wire, name)]
    if found:
        yield disallowed(*found)


def _is_set(wire: Wire, name: str) -> bool:
    value = wire[name]
    if value is False:
        return name not in _FALSE_IS_NOTHING
    return value not in (None, "", 0, [], {})


def members(wire: Wire, field: str) -> list[Wire]:
    """The objects of a list that may hold anything."""
    return [one for one in wire.get(field) or () if isinstance(one, dict)]


def one_of(wire: Wire, fields: Iterable[str], path: str) -> Faults:
    """Exactly one of the fields must be there."""
    found = [field for field in fields if wire.get(field) is not None]
    if len(found) != 1:
        names = ", ".join(f"{path}.{field}" for field in sorted(found or fields))
        said = "both" if found else "neither"
        yield FieldError(path, f"expected exactly one, got {said}: {names}")


def wrong(path: str, value: Any, why: str = "") -> FieldError:
    """The field has a value that is not allowed."""
    said = f"invalid value: {value}: {path}"
    return FieldError(path, f"{said}\n{why}" if why else said)


def out_of_bounds(path: str, value: Any, low: Any, high: Any) -> FieldError:
    """The number must be between the two."""
    return FieldError(path, f"expected {low} <= {value} <= {high}: {path}")
