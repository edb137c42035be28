"""``logging.request-log-template``: a Go template of one line per request.

Requests pass no program of ours, so a template is not run: it is read into literal text and
fields, and Envoy writes the fields. What that cannot express (conditions, loops, functions but
``js``, other fields) is refused when the config map is written.

A template that makes a JSON object, as Knative's own does, becomes JSON fields: Envoy escapes each
value as JSON wants it, which is what ``js`` is for in such a template. In any other text ``js``
could not be kept, so it is refused there.

Source: knative/serving pkg/http/request_log.go; Go's text/template.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

DEFAULT_TEMPLATE = (
    '{"httpRequest": {"requestMethod": "{{.Request.Method}}", '
    '"requestUrl": "{{js .Request.RequestURI}}", '
    '"requestSize": "{{.Request.ContentLength}}", "status": {{.Response.Code}}, '
    '"responseSize": "{{.Response.Size}}", "userAgent": "{{js .Request.UserAgent}}", '
    '"remoteIp": "{{js .Request.RemoteAddr}}", "serverIp": "{{.Revision.PodIP}}", '
    '"referer": "{{js .Request.Referer}}", "latency": "{{.Response.Latency}}s", '
    '"protocol": "{{.Request.Proto}}"}, "traceId": "{{.TraceID}}"}'
)  #: Knative's

#: What a template may name; ``Request.Header`` comes with the header's name.
FIELDS = frozenset({
    "Request.Method", "Request.Proto", "Request.Host", "Request.RequestURI", "Request.URL",
    "Request.URL.Path", "Request.ContentLength", "Request.RemoteAddr", "Request.UserAgent",
    "Request.Referer", "Request.Header",
    "Response.Code", "Response.Size", "Response.Latency",
    "Revision.Name", "Revision.Namespace", "Revision.Service", "Revision.Configuration",
    "Revision.PodName", "Revision.PodIP",
    "TraceID",
})  # fmt: skip
#: Those that are numbers where the template does not put them into quotes.
NUMBERS = frozenset({"Request.ContentLength", "Response.Code", "Response.Size", "Response.Latency"})

_ACTION = re.compile(r"\{\{(-\s)?(.*?)(\s-)?\}\}", re.DOTALL)
_COMMENT = re.compile(r"/\*.*\*/$", re.DOTALL)
_FIELD = re.compile(r"\.([A-Za-z]+(?:\.[A-Za-z]+)*)$")
_HEADER = re.compile(r"""\.Request\.Header\.Get\s+(?:"([^"\\]+)"|`([^`]+)`)$""")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+$")  # RFC 9110, 5.6.2
_OPEN, _BARE, _CLOSE = "\ue000", "\ue001", "\ue002"  # private characters: they stand for fields


@dataclass(frozen=True, slots=True)
class Field:
    """A place that a request fills."""

    name: str  #: one of ``FIELDS``
    header: str = ""  #: of ``Request.Header``
    js: bool = False  #: escaped


Part = str | Field


@dataclass(frozen=True, slots=True)
class Line:
    """Text that is put together: within a JSON object a string."""

    parts: tuple[Part, ...]


#: A JSON value whose strings are lines, or fields where the template has no quotes around one.
Json = Any


@dataclass(frozen=True, slots=True)
class RequestLogTemplate:
    """A template that was understood."""

    text: str
    parts: tuple[Part, ...]

    @property
    def structure(self) -> dict[str, Json] | None:
        """The JSON object that it makes; None when it makes other text."""
        return _structure(self.parts)

    def render(self, value_of: Callable[[Field], str]) -> str:
        """The line of one request; values are escaped where the template makes JSON."""
        escape = _in_json if self.structure is not None else str
        return "".join(
            part if isinstance(part, str) else escape(value_of(part)) for part in self.parts
        )


def parse_request_log(text: str) -> RequestLogTemplate:
    """Read a template.

    Raises:
        ValueError: it has an action that is not understood or cannot be expressed.
    """
    parts: list[Part] = []
    end, trim = 0, False
    for found in _ACTION.finditer(text):
        before = text[end : found.start()]
        _check_literal(before)
        before = before.lstrip() if trim else before
        parts.append(before.rstrip() if found.group(1) else before)
        action = found.group(2).strip()
        if not _COMMENT.match(action):
            parts.append(_field(action))
        end, trim = found.end(), bool(found.group(3))
    rest = text[end:]
    _check_literal(rest)
    parts.append((rest.lstrip() if trim else rest).rstrip("\n"))
    template = RequestLogTemplate(text, tuple(part for part in parts if part != ""))
    if template.structure is None and any(isinstance(p, Field) and p.js for p in template.parts):
        raise ValueError(f"{text!r}: js is understood where the template makes one JSON object")
    return template


def _check_literal(text: str) -> None:
    if "{{" in text:
        raise ValueError(f"{text!r}: unclosed action")
    if any(mark in text for mark in (_OPEN, _BARE, _CLOSE)):
        raise ValueError(f"{text!r}: has a private character, expected text")


def _field(action: str) -> Field:
    name, js = action, False
    if action.startswith("js "):
        name, js = action.removeprefix("js ").strip(), True
    elif (pipe := re.match(r"(.+?)\s*\|\s*js$", action)) is not None:
        name, js = pipe.group(1), True
    if name.startswith("(") and name.endswith(")"):
        name = name[1:-1].strip()
    if (header := _HEADER.match(name)) is not None:
        wanted = header.group(1) or header.group(2)
        if not _TOKEN.match(wanted):
            raise ValueError(f"{{{{{action}}}}}: {wanted!r} is no name of a header")
        return Field("Request.Header", wanted, js)
    if (field := _FIELD.match(name)) and field.group(1) in FIELDS - {"Request.Header"}:
        return Field(field.group(1), js=js)
    known = ", ".join(f".{name}" for name in sorted(FIELDS - {"Request.Header"}))
    raise ValueError(
        f"{{{{{action}}}}} cannot be had: the gateway writes these lines without running the "
        f'template; expected {known} or .Request.Header.Get "NAME", each with or without js'
    )


def _structure(parts: tuple[Part, ...]) -> dict[str, Json] | None:
    fields: list[Field] = []
    text, quoted = "", False
    for part in parts:
        if isinstance(part, Field):
            mark = f"{_OPEN}{len(fields)}{_CLOSE}"
            text += mark if quoted else f'"{_BARE}{mark}"'
            fields.append(part)
        else:
            text += part
            quoted ^= len(re.findall(r'(?<!\\)(?:\\\\)*"', part)) % 2 == 1
    try:
        found = json.loads(text)
    except ValueError:
        return None
    if not isinstance(found, dict) or any(_has_mark(key) for key in _keys(found)):
        return None
    return {key: _filled(value, fields) for key, value in found.items()}


def _keys(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(key for each in value.values() for key in _keys(each))]
    return [key for each in value for key in _keys(each)] if isinstance(value, list) else []


def _has_mark(text: str) -> bool:
    return _OPEN in text


def _filled(value: Any, fields: list[Field]) -> Json:
    if isinstance(value, Mapping):
        return {key: _filled(each, fields) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, fields) for each in value]
    if not isinstance(value, str):
        return value
    if value.startswith(_BARE):
        [(_, field)] = _split(value.removeprefix(_BARE), fields)
        return field
    return Line(tuple(part for _, part in _split(value, fields) if part != ""))


def _split(text: str, fields: list[Field]) -> list[tuple[int, Part]]:
    found: list[tuple[int, Part]] = []
    for number, piece in enumerate(re.split(f"{_OPEN}(\\d+){_CLOSE}", text)):
        if number % 2:
            found.append((number, fields[int(piece)]))
        elif piece:
            found.append((number, piece))
    return found


def _in_json(text: str) -> str:
    return json.dumps(text)[1:-1]
