"""What the API server must know of a kind: schema, names, columns, defaults, validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from hearth.api.config import ServingConfig
from hearth.api.errors import FieldError
from hearth.api.kinds import Kind
from hearth.api.meta import Wire, name_of, namespace_of


@dataclass(frozen=True, slots=True)
class Column:
    """A column of ``kubectl get``."""

    name: str
    value: Callable[[Wire], Any]
    type: str = "string"  #: string, integer, boolean or date
    priority: int = 0  #: above 0: only with ``-o wide``
    description: str = ""


def same(wire: Wire, old: Wire | None) -> Wire:
    """Defaults of a kind that has none."""
    return wire


def anything(wire: Wire, old: Wire | None) -> list[FieldError]:
    """Validation of a kind whose schema says all."""
    return []


def no_notices(wire: Wire) -> list[str]:
    """Warnings of a kind that has none."""
    return []


def plain_fields(wire: Wire) -> Mapping[str, str]:
    """What every kind can be selected by."""
    return {"metadata.name": name_of(wire), "metadata.namespace": namespace_of(wire)}


class Beside(NamedTuple):
    """A stored object by name."""

    kind: Kind
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A kind that is not stored: its objects are shown as what stored ones of another kind mean."""

    of: Kind  #: the stored kind
    #: The object shown for a stored one, or None; the second argument is ``beside``.
    make: Callable[[Wire, Wire | None], Wire | None]
    suffix: str = ""  #: what is added to the stored object's name, by ``naming.child_name``
    beside: Beside | None = None  #: one more stored object that it takes to tell


def alone(make: Callable[[Wire], Wire | None]) -> Callable[[Wire, Wire | None], Wire | None]:
    """A :attr:`Shown.make` that needs nothing beside the stored object."""
    return lambda stored, _: make(stored)


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind as the API serves it."""

    kind: Kind
    view: type[msgspec.Struct]
    singular: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: frozenset[str] = frozenset()  #: of ``status`` and ``scale``
    columns: tuple[Column, ...] = ()  #: after NAME; AGE is added, but to Knative's
    #: New, old or None: the new object with the defaults filled in.
    default: Callable[[Wire, Wire | None], Wire] = same
    validate: Callable[[Wire, Wire | None], list[FieldError]] = anything  #: new, old or None
    fields: Callable[[Wire], Mapping[str, str]] = plain_fields  #: for field selectors
    notices: Callable[[Wire], list[str]] = no_notices  #: warnings on admission
    #: Makes the kind as the config maps want its defaults and validation to be; None: they do not.
    configured: Callable[[ServingConfig], Resource] | None = None
    shown: tuple[Shown, ...] = ()  #: by kinds that are stored, for a kind that can only be read
    computed: bool = False  #: made for each answer: can be got and listed
    posted: bool = False  #: a question: answered when it is posted, never stored
    name_pattern: str = "dns-1123-subdomain"  #: or ``dns-1035-label``, ``dns-1123-label``


@dataclass(frozen=True, slots=True)
class At:
    """A column's value: the field at that path, or None."""

    path: tuple[str, ...]

    def __call__(self, wire: Wire) -> Any:
        """Read it."""
        found: Any = wire
        for step in self.path:
            found = found.get(step) if isinstance(found, dict) else None
        return found

    @property
    def json_path(self) -> str:
        """The same as Kubernetes writes it in a CRD."""
        return "".join(map(_step, self.path))


@dataclass(frozen=True, slots=True)
class OfCondition:
    """A column's value: a field of the condition of that type, or None."""

    kind: str
    field: str

    def __call__(self, wire: Wire) -> Any:
        """Read it."""
        for one in (wire.get("status") or {}).get("conditions") or ():
            if one.get("type") == self.kind:
                return one.get(self.field)
        return None

    @property
    def json_path(self) -> str:
        """The same as Kubernetes writes it in a CRD."""
        return f".status.conditions[?(@.type=='{self.kind}')].{self.field}"


def at(*path: str) -> At:
    """The field at that path."""
    return At(path)


def condition(kind: str, field: str) -> OfCondition:
    """A field of the condition of that type."""
    return OfCondition(kind, field)


def _step(name: str) -> str:
    if name.isalnum():
        return f".{name}"
    escaped = name.replace(".", "\\.")
    return f"['{escaped}']"
