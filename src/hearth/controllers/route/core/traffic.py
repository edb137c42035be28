"""From a Route's ``spec.traffic`` to revisions.

Source: knative.dev/serving pkg/reconciler/route/traffic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from hearth.api.meta import Wire, condition_of, labels_of, name_of, spec_of, status_of
from hearth.api.names import CONFIGURATION_LABEL, SERVICE_LABEL
from hearth.controllers.configuration.core.revisions import is_ready

_MISSING = "RevisionMissing"


@dataclass(frozen=True, slots=True)
class Target:
    """A share of the traffic and the revision it goes to."""

    revision: str
    percent: int
    latest: bool  #: follows the configuration's latest ready revision
    tag: str = ""
    configuration: str = ""  #: that it follows, if it does


@dataclass(frozen=True, slots=True)
class BadTarget:
    """A target that traffic cannot go to: the status and reason of ``AllTrafficAssigned``."""

    status: str  #: ``False``, or ``Unknown`` while it may still become ready
    reason: str
    message: str


class _UnresolvedError(Exception):
    """Carries a bad target up to where all are gathered."""

    def __init__(self, status: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.target = BadTarget(status, reason, message)


@dataclass(frozen=True, slots=True)
class Targets:
    """What a Route's targets are looked up in; both return None for what is not there."""

    configuration: Callable[[str], Wire | None]
    revision: Callable[[str], Wire | None]


def resolve_traffic(route: Wire, known: Targets) -> list[Target] | BadTarget:
    """The revisions that the Route's traffic goes to, in the order of its spec.

    Returns:
        All targets, or, if one cannot be had, what is wrong: a failure before a mere delay.
    """
    found: list[Target] = []
    bad: BadTarget | None = None
    for target in spec_of(route).get("traffic") or ():
        try:
            found = _merged(found, _resolve(route, target, known))
        except _UnresolvedError as error:
            if bad is None or error.target.status == "False":
                bad = error.target
    return found if bad is None else bad


def _resolve(route: Wire, target: Wire, known: Targets) -> Target:
    """One target; raises ``_UnresolvedError``."""
    configuration = ""
    if target.get("revisionName"):
        revision = _pinned(route, str(target["revisionName"]), known)
    else:
        configuration = str(target.get("configurationName") or "")
        revision = _latest(configuration, known)
    return Target(
        revision=name_of(revision),
        percent=int(target.get("percent") or 0),
        latest=bool(target.get("latestRevision", not target.get("revisionName"))),
        tag=str(target.get("tag") or ""),
        configuration=configuration,
    )


def _latest(name: str, known: Targets) -> Wire:
    configuration = _configuration(name, known)
    latest = status_of(configuration).get("latestReadyRevisionName")
    if not latest:
        if _has_failed(configuration):
            said = f'Configuration "{name}" does not have any ready Revision.'
            raise _UnresolvedError("False", _MISSING, said)
        said = f'Configuration "{name}" is waiting for a Revision to become ready.'
        raise _UnresolvedError("Unknown", _MISSING, said)
    return _ready(_revision(latest, known))


def _pinned(route: Wire, name: str, known: Targets) -> Wire:
    revision = _revision(name, known)
    wanted = labels_of(route).get(SERVICE_LABEL, "")
    actual = labels_of(revision).get(SERVICE_LABEL, "")
    if wanted and actual != wanted:
        said = f'Revision "{name}" does not belong to Service "{wanted}".'
        if actual:
            said = f'Revision "{name}" belongs to Service "{actual}", not Service "{wanted}".'
        raise _UnresolvedError("False", "RevisionNotOwned", said)
    _ready(revision)
    if configuration := labels_of(revision).get(CONFIGURATION_LABEL):
        _configuration(configuration, known)
    return revision


def _configuration(name: str, known: Targets) -> Wire:
    found = known.configuration(name)
    if found is None:
        said = f'Configuration "{name}" referenced in traffic not found.'
        raise _UnresolvedError("False", "ConfigurationMissing", said)
    return found


def _revision(name: str, known: Targets) -> Wire:
    found = known.revision(name)
    if found is None:
        said = f'Revision "{name}" referenced in traffic not found.'
        raise _UnresolvedError("False", _MISSING, said)
    return found


def _ready(revision: Wire) -> Wire:
    if is_ready(revision):
        return revision
    if _has_failed(revision):
        said = f'Revision "{name_of(revision)}" failed to become ready.'
        raise _UnresolvedError("False", _MISSING, said)
    raise _UnresolvedError("Unknown", _MISSING, f'Revision "{name_of(revision)}" is not yet ready.')


def _has_failed(wire: Wire) -> bool:
    return (condition_of(wire, "Ready") or {}).get("status") == "False"


def _merged(found: list[Target], one: Target) -> list[Target]:
    """Add the target; the same revision under the same tag gets the sum of both shares."""
    for at, other in enumerate(found):
        if replace(other, percent=one.percent) == one:
            total = replace(one, percent=other.percent + one.percent)
            return [*found[:at], total, *found[at + 1 :]]
    return [*found, one]
