"""Label and field selectors: parsed once, matched often.

Source: k8s.io/apimachinery/pkg/labels and pkg/fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hearth.api.errors import BadRequest

_KEY = r"(?:[a-z0-9A-Z][-a-z0-9A-Z.]*/)?[a-zA-Z0-9](?:[-a-zA-Z0-9_.]*[a-zA-Z0-9])?"
_SET = re.compile(rf"({_KEY})\s+(in|notin)\s*\(([^()]*)\)$")
_EQUAL = re.compile(rf"({_KEY})\s*(==|=|!=)\s*([-a-zA-Z0-9_.]*)$")
_COMPARE = re.compile(rf"({_KEY})\s*(>|<)\s*(-?[0-9]+)$")
_EXISTS = re.compile(rf"(!?)\s*({_KEY})$")
#: Commas inside parentheses do not separate requirements.
_COMMA = re.compile(r",(?![^()]*\))")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label."""

    key: str
    operator: str  #: in, notin, exists, missing, > or <
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels meet it."""
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value is not None and value in self.values
            case "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "missing":
                return value is None
            case _:
                return self._compares(value)

    def _compares(self, value: str | None) -> bool:
        if value is None or not value.lstrip("-").isdigit():
            return False
        [bound] = self.values
        return int(value) > int(bound) if self.operator == ">" else int(value) < int(bound)


@dataclass(frozen=True, slots=True)
class Selector:
    """All of the requirements; without any it matches everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels (or fields) meet all requirements."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __bool__(self) -> bool:
        """Whether anything is required at all."""
        return bool(self.requirements)


def parse_label_selector(text: str) -> Selector:
    """Parse ``a=b,c!=d,e in (x,y),f notin (z),g,!h,i>3``.

    Raises:
        BadRequest: names the part that cannot be parsed.
    """
    parts = [part.strip() for part in _COMMA.split(text)] if text.strip() else []
    return Selector(tuple(_requirement(part, text) for part in parts))


def _requirement(part: str, text: str) -> Requirement:
    if found := _SET.match(part):
        values = frozenset(value.strip() for value in found[3].split(","))
        return Requirement(found[1], found[2], values)
    if found := _EQUAL.match(part):
        operator = "notin" if found[2] == "!=" else "in"
        return Requirement(found[1], operator, frozenset([found[3]]))
    if found := _COMPARE.match(part):
        return Requirement(found[1], found[2], frozenset([found[3]]))
    if found := _EXISTS.match(part):
        return Requirement(found[2], "missing" if found[1] else "exists")
    raise BadRequest(f"unable to parse requirement: {part!r} in label selector {text!r}")


def parse_field_selector(text: str) -> Selector:
    """Parse ``metadata.name=x,spec.nodeName!=y``; an absent field equals the empty string.

    Raises:
        BadRequest: names the part that cannot be parsed.
    """
    requirements = []
    for part in filter(None, text.split(",")):
        found = re.match(r"([^=!]+)(==|=|!=)(.*)$", part)
        if not found:
            raise BadRequest(f"invalid field selector {text!r}: cannot parse {part!r}")
        operator = "notin" if found[2] == "!=" else "in"
        requirements.append(Requirement(found[1].strip(), operator, frozenset([found[3].strip()])))
    return Selector(tuple(requirements))


def selector_of(label_selector: Mapping[str, object]) -> Selector:
    """The Selector of a ``metav1.LabelSelector`` object."""
    labels = label_selector.get("matchLabels") or {}
    assert isinstance(labels, Mapping)
    found = [Requirement(key, "in", frozenset([str(value)])) for key, value in labels.items()]
    expressions = label_selector.get("matchExpressions") or ()
    assert isinstance(expressions, list | tuple)
    operators = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "missing"}
    for one in expressions:
        values = frozenset(map(str, one.get("values") or ()))
        found.append(Requirement(one["key"], operators[one["operator"]], values))
    return Selector(tuple(found))
