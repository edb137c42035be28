"""What a revision asks of its autoscaler: Knative's annotations and defaults."""

from __future__ import annotations

from dataclasses import dataclass

from hearth.api.meta import Wire, annotations_of, labels_of, spec_of
from hearth.api.names import ROUTING_STATE_LABEL
from hearth.api.serving.annotations import autoscaling_annotations, parse_duration_s


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
    scale_to_zero_grace_s: float = 30.0
    initial_scale: int = 1


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
    reachable: bool  #: whether any Route sends requests to it


def decider_spec(revision: Wire, defaults: Defaults | None = None) -> DeciderSpec:
    """Read a Revision's annotations; what they leave open is Knative's default."""
    base = defaults or Defaults()
    own = autoscaling_annotations(annotations_of(revision))
    window_s = parse_duration_s(own["window"]) if "window" in own else base.stable_window_s
    panic_share = float(own.get("panic-window-percentage", base.panic_window_share * 100)) / 100
    reachable = labels_of(revision).get(ROUTING_STATE_LABEL, "active") in ("active", "pending")
    return DeciderSpec(
        target=_target(revision, own, base),
        min_scale=int(own.get("min-scale", 0)),
        max_scale=int(own.get("max-scale", 0)),
        initial_scale=int(own.get("initial-scale", base.initial_scale)),
        activation_scale=int(own.get("activation-scale", 1)),
        stable_window_s=window_s,
        panic_window_s=max(1.0, window_s * panic_share),
        panic_threshold=float(own.get("panic-threshold-percentage", base.panic_threshold * 100))
        / 100,
        max_scale_up_rate=base.max_scale_up_rate,
        max_scale_down_rate=base.max_scale_down_rate,
        scale_down_delay_s=parse_duration_s(own.get("scale-down-delay", "0")),
        retention_s=parse_duration_s(own.get("scale-to-zero-pod-retention-period", "0")),
        reachable=reachable,
    )


def _target(revision: Wire, own: dict[str, str], base: Defaults) -> float:
    """Requests in flight per pod: the annotation, but never above the hard limit.

    Source: knative/serving pkg/reconciler/autoscaling/resources/target.go.
    """
    limit = float(spec_of(revision).get("containerConcurrency") or 0)
    utilisation = (
        float(own.get("target-utilization-percentage", base.target_utilisation * 100)) / 100
    )
    total = limit or base.target_concurrency
    if "target" in own and own.get("metric", "concurrency") == "concurrency":
        total = min(float(own["target"]), limit) if limit else float(own["target"])
    return max(0.01, total * utilisation)
