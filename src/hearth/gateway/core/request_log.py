"""The request log's template as Envoy's: pure.

A line is written by the router for each try that reaches an instance, as Knative's queue-proxy
does, when its answer has ended. All lines go into one file; each begins with what tells whose it is
(when it began, the instance's address, the revision), which readers take off again: see ``Entry``.
What Envoy does not know of a pod stays in the line as the template has it, for readers to fill in:
they ask for the lines of one pod.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hearth.api.config.request_log import Field, Json, Line, Part, RequestLogTemplate

#: A header that no request has at the router: the edge takes it away. It makes text of a number.
_NOTHING = "%REQ(HEARTH-RETRY)%"
_FROM_TRACEPARENT = (
    "%CEL('traceparent' in request.headers"
    " ? re.extract(request.headers['traceparent'], '^[^-]*-([^-]*)-.*', '\\\\1')"
    " : request.headers['x-b3-traceid'])%"
)
#: Behind the internal listener ``cold`` the client's address is what the edge has noted of it.
_FROM_FORWARDED = (
    "%CEL(re.extract(request.headers['x-forwarded-for'], '^(.*[, ])?([^, ]+)$', '\\\\2'))%:0"
)
#: Filled in by readers.
_OF_POD = frozenset({"Revision.Service", "Revision.Configuration", "Revision.PodName"})
_TEXTS: Mapping[str, str] = {
    "Request.Method": "%REQ(:METHOD)%",
    "Request.Proto": "%PROTOCOL%",
    "Request.Host": "%REQ(:AUTHORITY)%",
    "Request.RequestURI": "%REQ(:PATH)%",
    "Request.URL": "%REQ(:PATH)%",
    "Request.URL.Path": "%PATH(NQ)%",
    "Request.ContentLength": "%CEL(request.size)%",
    "Request.RemoteAddr": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "Request.UserAgent": "%REQ(USER-AGENT)%",
    "Request.Referer": "%REQ(REFERER)%",
    "Response.Code": "%RESPONSE_CODE%",
    "Response.Size": "%BYTES_RECEIVED%",  # from the instance
    # Microseconds as a number of seconds; nothing, when the answer did not come to its end, is 0.
    "Response.Latency": "0%COMMON_DURATION(US_TX_BEG:US_RX_END:us)%e-06",
    "Revision.Name": "%REQ(KNATIVE-SERVING-REVISION)%",
    "Revision.Namespace": "%REQ(KNATIVE-SERVING-NAMESPACE)%",
    "Revision.PodIP": "%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "TraceID": _FROM_TRACEPARENT,
}
#: What is a number by itself.
_NUMBERS = {
    "Request.ContentLength": "%TYPED_CEL(request.size)%",
    "Response.Code": "%RESPONSE_CODE%",
    "Response.Size": "%BYTES_RECEIVED%",
    "Response.Latency": (
        "%TYPED_CEL(double(request.duration.getSeconds())"
        " + double(request.duration.getMilliseconds()) / 1000.0)%"
    ),
}

HEAD_KEY = "!"  #: sorts before every other: Envoy writes keys in order
_HEAD = (
    "%START_TIME(%Y-%m-%dT%H:%M:%S.%6fZ)% %UPSTREAM_HOST% "
    "%REQ(HEARTH-TENANT)%/%REQ(KNATIVE-SERVING-NAMESPACE)%/%REQ(KNATIVE-SERVING-REVISION)%"
)


def make_format(template: RequestLogTemplate, *, cold: bool = False) -> dict[str, Any]:
    """An ``envoy.config.core.v3.SubstitutionFormatString``; ``cold`` for that listener's router."""
    texts = {**_TEXTS, "Request.RemoteAddr": _FROM_FORWARDED} if cold else _TEXTS
    structure = template.structure
    if structure is not None:
        return {
            "json_format": {HEAD_KEY: _HEAD, **_json(structure, texts)},
            "omit_empty_values": True,
        }
    text = "".join(_text(part, texts) for part in template.parts)
    return {
        "text_format_source": {"inline_string": f"{_HEAD} {text}\n"},
        "omit_empty_values": True,
    }


def _json(value: Json, texts: Mapping[str, str]) -> Any:
    match value:
        case dict():
            return {key: _json(each, texts) for key, each in value.items()}
        case list():
            return [_json(each, texts) for each in value]
        case Line(parts):
            return _NOTHING + "".join(_text(part, texts) for part in parts)
        case Field(name) if name in _NUMBERS:
            return _NUMBERS[name]
        case Field():
            return _NOTHING + _text(value, texts)
        case str():
            return _literal(value)
        case _:
            return value


def _text(part: Part, texts: Mapping[str, str]) -> str:
    if isinstance(part, str):
        return _literal(part)
    if part.name == "Request.Header":
        return f"%REQ({part.header.upper()})%"
    if part.name in _OF_POD:
        return _place(part.name)
    return texts[part.name]


def _place(name: str) -> str:
    return f"{{{{.{name}}}}}"


def filled(text: bytes, values: Mapping[str, str]) -> bytes:
    """A line with what readers know of the pod: see ``_OF_POD`` for the names of its values."""
    if b"{{" in text:
        for name in _OF_POD:
            text = text.replace(_place(name).encode(), values[name].encode())
    return text


def _literal(text: str) -> str:
    return text.replace("%", "%%")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the file, understood."""

    at: bytes  #: when it began: RFC 3339, microseconds
    whose: bytes  #: the instance's address and the revision, as :func:`whose` writes them
    text: bytes  #: what the template made, without a newline

    @classmethod
    def of(cls, line: bytes) -> Entry | None:
        """The entry of a line; None for one that is no entry."""
        if line.startswith(b'{"!":"'):
            head, _, rest = line[6:].partition(b'"')
            rest = b"{" + rest.removeprefix(b",")
            at, _, whose = head.partition(b" ")
        else:
            at, _, after = line.partition(b" ")
            address, _, after = after.partition(b" ")
            revision, _, rest = after.partition(b" ")
            whose = address + b" " + revision
        if not at.startswith(b"20") or not whose:
            return None
        return cls(at, whose, rest)


def whose(address: str, revision: str) -> bytes:
    """What each line of an instance has: its ``ip:port`` and ``tenant/namespace/revision``."""
    return f"{address} {revision}".encode()
