"""How many pods a revision starts with, and how long it may take.

Source: knative.dev/serving pkg/reconciler/revision/resources/deploy.go (MakeDeployment) and
pkg/reconciler/autoscaling/kpa/kpa.go (activeThreshold).
"""

from __future__ import annotations

from dataclasses import dataclass

from hearth.api.config import AutoscalerConfig
from hearth.api.durations import parse_duration_s
from hearth.api.meta import Wire, annotations_of, labels_of
from hearth.api.names import ROUTING_STATE_LABEL
from hearth.api.serving.annotations import autoscaling_annotations

PROGRESS_DEADLINE_ANNOTATION = "serving.knative.dev/progress-deadline"


@dataclass(frozen=True, slots=True)
class Scale:
    """The bounds that decide whether a revision has come up."""

    initial: int  #: pods it starts with
    floor: int  #: pods it keeps while a Route refers to it
    progress_deadline_s: float  #: seconds it may take to come up

    def ready_threshold(self, *, initialized: bool) -> int:
        """Ready pods that make it active; before it has come up once the initial scale counts."""
        return max(self.floor, 1 if initialized else self.initial)

    @property
    def first(self) -> int:
        """Replicas of a new PooledReplicaSet."""
        return max(self.floor, self.initial)


def scale_of(revision: Wire, config: AutoscalerConfig) -> Scale:
    """The bounds of a revision; values that do not parse count as absent (the API refuses them)."""
    said = autoscaling_annotations(annotations_of(revision))
    floor = _count(said.get("min-scale"), config.min_scale)
    unreachable = labels_of(revision).get(ROUTING_STATE_LABEL) == "reserve"
    initial = _count(said.get("initial-scale"), config.initial_scale)
    if initial == 0 and not config.allow_zero_initial_scale:
        initial = config.initial_scale
    return Scale(
        initial=initial,
        floor=0 if unreachable else floor,
        progress_deadline_s=_progress_deadline_s(revision, config),
    )


def _count(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isdigit() else default


def _progress_deadline_s(revision: Wire, config: AutoscalerConfig) -> float:
    text = annotations_of(revision).get(PROGRESS_DEADLINE_ANNOTATION, "")
    try:
        return parse_duration_s(text) if text else config.progress_deadline_s
    except ValueError:
        return config.progress_deadline_s
