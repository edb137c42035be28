"""Go's text templates, as far as host names need them.

``{{.Name}}``, ``{{ index .Annotations "sub" }}`` and their trimming forms ``{{-``, ``-}}``. A Go
program can do more; what is not understood is refused when the config map is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_ACTION = re.compile(r"\{\{(-\s)?(.*?)(\s-)?\}\}", re.DOTALL)
_FIELD = re.compile(r"\.([A-Za-z]+)$")
_INDEX = re.compile(r"index\s+\.([A-Za-z]+)\s+(\"[^\"]*\"|`[^`]*`)$")
_MEMBER = re.compile(r"\.([A-Za-z]+)\.([A-Za-z0-9_]+)$")

Values = Mapping[str, "str | Mapping[str, str]"]


@dataclass(frozen=True, slots=True)
class _Hole:
    field: str
    key: str | None = None  #: of a field that is a map


@dataclass(frozen=True, slots=True)
class Template:
    """A template that was understood."""

    text: str
    parts: tuple[str | _Hole, ...]

    def render(self, values: Values) -> str:
        """The text with its holes filled; what a map has not is empty."""
        return "".join(
            part if isinstance(part, str) else _value(part, values) for part in self.parts
        )


def parse_template(text: str, texts: frozenset[str], maps: frozenset[str]) -> Template:
    """Read a template.

    Args:
        text: the template.
        texts: fields that are texts.
        maps: fields that are maps.

    Raises:
        ValueError: it has an action that is not understood or a field that is not there.
    """
    parts: list[str | _Hole] = []
    end, trim = 0, False
    for found in _ACTION.finditer(text):
        before = text[end : found.start()]
        before = before.lstrip() if trim else before
        parts.append(before.rstrip() if found.group(1) else before)
        parts.append(_hole(found.group(2).strip(), texts, maps))
        end, trim = found.end(), bool(found.group(3))
    rest = text[end:]
    parts.append(rest.lstrip() if trim else rest)
    if "{{" in rest or "}}" in rest:
        raise ValueError(f"{text!r}: unclosed action")
    return Template(text, tuple(part for part in parts if part != ""))


def _hole(action: str, texts: frozenset[str], maps: frozenset[str]) -> _Hole:
    if (field := _FIELD.match(action)) and field.group(1) in texts:
        return _Hole(field.group(1))
    if (index := _INDEX.match(action)) and index.group(1) in maps:
        return _Hole(index.group(1), index.group(2)[1:-1])
    if (member := _MEMBER.match(action)) and member.group(1) in maps:
        return _Hole(member.group(1), member.group(2))
    known = ", ".join([f".{name}" for name in sorted(texts)])
    known += "".join(f', index .{name} "KEY"' for name in sorted(maps))
    raise ValueError(f"{{{{{action}}}}} is not understood, expected one of {known}")


def _value(hole: _Hole, values: Values) -> str:
    found = values.get(hole.field, "")
    if isinstance(found, str):
        return found
    return str(found.get(hole.key or "", ""))
