"""A Route's targets at this moment of their rollouts.

What is under way is noted in an annotation of the Route's status, under the name that Knative gives
it on its Ingress. When nothing is under way there is no note: then the traffic itself says from
which revision the next rollout begins.

Source: knative.dev/serving pkg/reconciler/route/reconcile_resources.go (reconcileRollout).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from hearth.api.durations import parse_duration_s
from hearth.api.meta import Wire, annotations_of, status_of
from hearth.controllers.core.metadata import ROLLOUT_DURATION_ANNOTATIONS
from hearth.controllers.route.core.rollout import (
    Key,
    Rollout,
    Share,
    advance,
    read,
    timed,
    written,
)
from hearth.controllers.route.core.traffic import Target

#: In the status of a Route while a rollout is under way: its state, as JSON.
ROLLOUT_ANNOTATION = "networking.internal.knative.dev/rollout"
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Gradual:
    """The targets as they are now, and what is noted of their rollouts."""

    targets: list[Target]
    note: str = ""  #: empty when no rollout is under way
    again_after_s: float | None = None  #: when the next step is due


@dataclass(frozen=True, slots=True)
class Moment:
    """What the rollouts of a Route depend on beside its targets."""

    duration_s: int  #: 0 or less: traffic moves at once
    now_ns: int
    has_gateways: bool  #: all have what the Route's status says
    configuration_of: Callable[[str], str]  #: the Configuration of a revision; empty if unknown


def rollout_duration_s(route: Wire, default_s: int) -> int:
    """Whole seconds that a rollout of this Route shall take; one that cannot be read is none."""
    for name in ROLLOUT_DURATION_ANNOTATIONS:
        if text := annotations_of(route).get(name):
            try:
                return int(parse_duration_s(text)) or default_s
            except ValueError:
                return default_s
    return default_s


def gradual(route: Wire, targets: Sequence[Target], moment: Moment) -> Gradual:
    """Where the targets are on their way from what the Route's status says."""
    if moment.duration_s <= 0:
        return Gradual(list(targets))
    before = _before(route, moment)
    if moment.has_gateways:
        before = {key: timed(one, moment.now_ns, moment.duration_s) for key, one in before.items()}
    found: list[Target] = []
    going: list[Rollout] = []
    for target in targets:
        key = (target.tag, target.configuration)
        goal = Rollout(key, target.percent, (Share(target.revision, target.percent),))
        now = advance(goal, before.get(key), moment.now_ns) if target.configuration else goal
        found += [replace(target, revision=s.revision, percent=s.percent) for s in now.shares]
        if not now.is_done:
            going.append(now)
    due = [one.steps.next_ns for one in going if one.steps.next_ns]
    again = max(0.0, (min(due) - moment.now_ns) / _SECOND_NS) if due else None
    return Gradual(found, written(going), again)


def _before(route: Wire, moment: Moment) -> Mapping[Key, Rollout]:
    """What was under way, and, for all else, what the traffic says."""
    found: dict[Key, Rollout] = {}
    for target in status_of(route).get("traffic") or ():
        revision, percent = str(target.get("revisionName")), int(target.get("percent") or 0)
        if target.get("latestRevision") and (name := moment.configuration_of(revision)):
            key = (str(target.get("tag") or ""), name)
            found[key] = Rollout(key, percent, (Share(revision, percent),))
    note = (status_of(route).get("annotations") or {}).get(ROLLOUT_ANNOTATION, "")
    return {**found, **read(note)}
