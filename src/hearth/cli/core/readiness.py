"""Whether an object has become what was asked of it, and what there is to say on the way."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hearth.api.meta import Wire, condition_of, generation_of, status_of


class Phase(Enum):
    """How far it is."""

    WAITING = "waiting"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outlook:
    """How far, and why."""

    phase: Phase
    reason: str = ""
    message: str = ""

    def __str__(self) -> str:
        """``reason: message``, as far as they are known."""
        return ": ".join(part for part in (self.reason, self.message) if part) or "no reason given"


def outlook_of(wire: Wire) -> Outlook:
    """What the object's condition ``Ready`` says of the generation it has now."""
    ready = condition_of(wire, "Ready") or {}
    reason, message = str(ready.get("reason") or ""), str(ready.get("message") or "")
    if status_of(wire).get("observedGeneration") != generation_of(wire):
        return Outlook(Phase.WAITING, "the controller has not seen it yet")
    phase = {"True": Phase.READY, "False": Phase.FAILED}.get(str(ready.get("status")))
    return Outlook(phase or Phase.WAITING, reason, message)


def news(was: Wire, now: Wire) -> list[str]:
    """One line for each condition but Ready that changed between two states of an object."""
    before = {c.get("type"): c for c in status_of(was).get("conditions") or ()}
    lines = []
    for condition in status_of(now).get("conditions") or ():
        kind = condition.get("type")
        if kind != "Ready" and _said(condition) != _said(before.get(kind, {})):
            lines.append(f"{kind}: {_said(condition)}")
    return lines


def _said(condition: Wire) -> str:
    if condition.get("status") == "True":
        return "yes"
    why = [str(condition[part]) for part in ("reason", "message") if condition.get(part)]
    return ": ".join(["no" if condition.get("status") == "False" else "not yet", *why])
