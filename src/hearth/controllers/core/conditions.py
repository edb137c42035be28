"""Knative's condition sets: several conditions and the one that sums them up.

========================  ==========================================================================
a dependent is False      the happy condition is False, with that dependent's reason and message
none False, one Unknown   the happy condition is Unknown, likewise
all dependents True       the happy condition is True
any other condition       informs only (severity ``Info``)
========================  ==========================================================================

Of several unhappy dependents the first that gives a reason speaks for all, so a set lists causes
before their consequences. (Knative lets the one speak that changed last: there a Service says that
no Revision is ready, and not why.)

Source: knative.dev/pkg apis/condition_set.go and reconciler/reconcile_common.go.
"""

from __future__ import annotations

from dataclasses import dataclass

from hearth.api.meta import Wire, generation_of, status_of

_TRUE, _FALSE, _UNKNOWN = "True", "False", "Unknown"


@dataclass(frozen=True, slots=True)
class ConditionSet:
    """The types of the conditions of a kind."""

    happy: str  #: the condition that sums up
    dependents: tuple[str, ...] = ()  #: the conditions that it sums up, causes first


def living(*dependents: str) -> ConditionSet:
    """The conditions of something that goes on: summed up by ``Ready``."""
    return ConditionSet("Ready", dependents)


def batch(*dependents: str) -> ConditionSet:
    """The conditions of something that ends: summed up by ``Succeeded``."""
    return ConditionSet("Succeeded", dependents)


class Conditions:
    """The conditions of one object while its new status is computed."""

    def __init__(self, kinds: ConditionSet, wire: Wire, at: str) -> None:
        """Start from what ``wire`` has; what is unset becomes Unknown.

        On a generation that was not observed before, the happy condition falls back to Unknown
        until one of its dependents is marked.

        Args:
            kinds: the conditions of the object's kind.
            wire: the object as it was read.
            at: RFC 3339 time for the conditions that change.
        """
        self._kinds = kinds
        self._at = at
        was = status_of(wire).get("conditions") or ()
        self._was: dict[str, Wire] = {one["type"]: one for one in was}
        self._now: dict[str, Wire] = {kind: _timeless(one) for kind, one in self._was.items()}
        self._initialize()
        if status_of(wire).get("observedGeneration") != generation_of(wire):
            said = "unsuccessfully observed a new generation"
            self.mark_unknown(kinds.happy, "NewObservedGenFailure", said)

    def get(self, kind: str) -> Wire | None:
        """The condition, without ``lastTransitionTime``."""
        return self._now.get(kind)

    def is_true(self, kind: str) -> bool:
        """Whether the condition is True."""
        return self._status(kind) == _TRUE

    def is_false(self, kind: str) -> bool:
        """Whether the condition is False."""
        return self._status(kind) == _FALSE

    def is_unknown(self, kind: str) -> bool:
        """Whether the condition is Unknown or not there at all."""
        return self._status(kind) in (None, _UNKNOWN)

    def mark_true(self, kind: str, reason: str = "", message: str = "") -> None:
        """The condition holds."""
        self._mark(kind, _TRUE, reason, message)

    def mark_unknown(self, kind: str, reason: str, message: str) -> None:
        """It is not known yet whether it holds."""
        self._mark(kind, _UNKNOWN, reason, message)

    def mark_false(self, kind: str, reason: str, message: str) -> None:
        """It does not hold."""
        self._mark(kind, _FALSE, reason, message)

    def copy(self, kind: str, other: Wire | None) -> None:
        """Mark as another object's condition is marked; one that is absent changes nothing."""
        if other is None:
            return
        said = other.get("reason", ""), other.get("message", "")
        match other.get("status"):
            case "True":
                self.mark_true(kind)
            case "False":
                self.mark_false(kind, *said)
            case _:
                self.mark_unknown(kind, *said)

    def to_wire(self) -> list[Wire]:
        """The conditions sorted by type; those that did not change keep their time."""
        return [self._timed(self._now[kind]) for kind in sorted(self._now)]

    def _initialize(self) -> None:
        happy = self._kinds.happy
        if happy not in self._now:
            self._set(happy, _UNKNOWN, "", "")
        unset = _TRUE if self.is_true(happy) else _UNKNOWN
        for kind in self._kinds.dependents:
            if kind not in self._now:
                self._set(kind, unset, "", "")

    def _status(self, kind: str) -> str | None:
        one = self._now.get(kind)
        return None if one is None else str(one.get("status"))

    def _mark(self, kind: str, status: str, reason: str, message: str) -> None:
        self._set(kind, status, reason, message)
        if kind not in self._kinds.dependents:
            return
        unhappy = self._unhappy_dependent() or {"status": _TRUE}
        said = unhappy.get("reason", ""), unhappy.get("message", "")
        self._set(self._kinds.happy, str(unhappy["status"]), *said)

    def _set(self, kind: str, status: str, reason: str, message: str) -> None:
        one: Wire = {"type": kind, "status": status}
        if kind != self._kinds.happy and kind not in self._kinds.dependents:
            one["severity"] = "Info"
        if reason:
            one["reason"] = reason
        if message:
            one["message"] = message
        self._now[kind] = one

    def _unhappy_dependent(self) -> Wire | None:
        dependents = [self._now[kind] for kind in self._kinds.dependents]
        for status in (_FALSE, _UNKNOWN):
            found = [one for one in dependents if one["status"] == status]
            if found:
                return next((one for one in found if one.get("reason")), found[0])
        return None

    def _timed(self, one: Wire) -> Wire:
        was = self._was.get(one["type"])
        if was is not None and one == _timeless(was):
            return was
        return {**one, "lastTransitionTime": self._at}


def _timeless(condition: Wire) -> Wire:
    return {field: value for field, value in condition.items() if field != "lastTransitionTime"}
