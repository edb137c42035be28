"""What the checks of all levels look at, and the words that they share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from hearth.api.meta import Wire

_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


@dataclass(frozen=True, slots=True)
class Checked:
    """A pod, or what a template makes one of, and the rules' minor version."""

    spec: Wire
    annotations: Mapping[str, str]
    minor: int

    @property
    def containers(self) -> list[Wire]:
        """All containers, those that run first first."""
        return [one for field in _CONTAINERS for one in self.spec.get(field) or ()]

    @property
    def context(self) -> Wire:
        """The pod's own security context."""
        return self.spec.get("securityContext") or {}

    @property
    def is_windows(self) -> bool:
        """Whether it runs on Windows, which knows neither capabilities nor seccomp."""
        return (self.spec.get("os") or {}).get("name") == "windows"

    @property
    def has_own_users(self) -> bool:
        """Whether root within is nobody outside."""
        return self.minor >= 35 and self.spec.get("hostUsers") is False

    def bad(self, is_bad: Callable[[Wire], Any]) -> list[str]:
        """The names of containers whose security context is found bad."""
        return [name_of(c) for c in self.containers if is_bad(c.get("securityContext") or {})]

    def setters(self, is_bad: Callable[[Wire], Any]) -> list[str]:
        """Who says something bad: the pod, containers."""
        found = ["pod"] if is_bad(self.context) else []
        bad = self.bad(is_bad)
        return [*found, named(bad)] if bad else found


#: What was found in brief and in detail; None when the pod passes.
Finding: TypeAlias = tuple[str, str] | None


def name_of(wire: Wire) -> str:
    """The name of a container or a volume."""
    return str(wire.get("name") or "")


def named(names: Collection[str], what: str = "container") -> str:
    """``container "a"`` or ``containers "a", "b"``."""
    return f"{plural(what, names)} {quoted(names)}"


def plural(what: str, of: Collection[object]) -> str:
    """The word for one, or for several."""
    return what if len(of) == 1 else f"{what}s"


def quoted(names: Iterable[str]) -> str:
    """``"a", "b"``."""
    return ", ".join(f'"{name}"' for name in names)
