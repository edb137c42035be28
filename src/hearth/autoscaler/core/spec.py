"""What a revision asks of its autoscaler: Knative's annotations and defaults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from hearth.api.meta import Wire, annotations_of, labels_of, spec_of
from hearth.api.names import ROUTING_STATE_LABEL
from hearth.api.serving.annotations import autoscaling_annotations, parse_duration_s

PROGRESS_DEADLINE_ANNOTATION = "serving.knative.dev/progress-deadline"

WINDOW_S_MIN = 6.0  #: Knative's: less would miss samples
TARGET_MIN = 0.01  #: Knative's

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Defaults:
    """Knative's ``config-autoscaler`` as it comes.

    Source: knative/serving config/core/configmaps/autoscaler.yaml.
    """

    target_concurrency: float = 100.0  #: requests in flight per pod, when a pod takes any number
    target_utilisation: float = 0.7  #: share of the target to aim for
    stable_window_s: float = 60.0
    panic_window_share: float = 0.1  #: of the stable window
    panic_threshold: float = 2.0  #: times what the pods can do
    max_scale_up_rate: float = 1000.0  #: times the ready pods, per decision
    max_scale_down_rate: float = 2.0  #: likewise, downwards
    initial_scale: int = 1
    progress_deadline_s: float = 600.0  #: of config-deployment


@dataclass(frozen=True, slots=True)
class DeciderSpec:
    """Everything a decision needs to know of the revision."""

    target: float  #: requests in flight per pod to aim for
    min_scale: int
    max_scale: int  #: 0 is no limit
    initial_scale: int
    activation_scale: int
    stable_window_s: float
    panic_window_s: float
    panic_threshold: float
    max_scale_up_rate: float
    max_scale_down_rate: float
    scale_down_delay_s: float
    retention_s: float  #: the last pod stays at least this long after the last request
    progress_deadline_s: float  #: how long it may take to reach the initial scale
    reachable: bool  #: whether any Route sends requests to it


def decider_spec(revision: Wire, defaults: Defaults | None = None) -> DeciderSpec:
    """Read a Revision's annotations; what they leave open is Knative's default.

    So is what cannot be read: it is refused at the door, but not by every API server.
    """
    base = defaults or Defaults()
    own = autoscaling_annotations(annotations_of(revision))
    window_s = max(WINDOW_S_MIN, _read(own, "window", parse_duration_s, base.stable_window_s))
    panic_share = _percentage(own, "panic-window-percentage", base.panic_window_share)
    deadline = {"deadline": annotations_of(revision).get(PROGRESS_DEADLINE_ANNOTATION, "")}
    reachable = labels_of(revision).get(ROUTING_STATE_LABEL, "active") in ("active", "pending")
    return DeciderSpec(
        target=_target(revision, own, base),
        min_scale=_read(own, "min-scale", int, 0),
        max_scale=_read(own, "max-scale", int, 0),
        initial_scale=_read(own, "initial-scale", int, base.initial_scale),
        activation_scale=max(1, _read(own, "activation-scale", int, 1)),
        stable_window_s=window_s,
        panic_window_s=max(1.0, window_s * panic_share),
        panic_threshold=_percentage(own, "panic-threshold-percentage", base.panic_threshold),
        max_scale_up_rate=base.max_scale_up_rate,
        max_scale_down_rate=base.max_scale_down_rate,
        scale_down_delay_s=_read(own, "scale-down-delay", parse_duration_s, 0.0),
        retention_s=_read(own, "scale-to-zero-pod-retention-period", parse_duration_s, 0.0),
        progress_deadline_s=_read(deadline, "deadline", parse_duration_s, base.progress_deadline_s),
        reachable=reachable,
    )


def _target(revision: Wire, own: dict[str, str], base: Defaults) -> float:
    """Requests in flight per pod: the annotation, but never above the hard limit.

    Source: knative/serving pkg/reconciler/autoscaling/resources/target.go.
    """
    limit = float(spec_of(revision).get("containerConcurrency") or 0)
    utilisation = _percentage(own, "target-utilization-percentage", base.target_utilisation)
    total = limit or base.target_concurrency
    if own.get("metric", "concurrency") == "concurrency":
        asked = _read(own, "target", float, total)
        total = min(asked, limit) if limit else asked
    return max(TARGET_MIN, total * utilisation)


def _percentage(own: dict[str, str], name: str, otherwise: float) -> float:
    """An annotation in percent, as a share."""
    return _read(own, name, float, otherwise * 100) / 100


def _read(own: dict[str, str], name: str, parse: Callable[[str], T], otherwise: T) -> T:
    try:
        return parse(own[name]) if own.get(name) else otherwise
    except ValueError:
        return otherwise
