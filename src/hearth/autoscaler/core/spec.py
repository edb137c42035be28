"""What a revision asks of its autoscaler: Knative's annotations and defaults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from hearth.api.config.autoscaler import HPA, KPA, TARGET_MIN, AutoscalerConfig
from hearth.api.durations import parse_duration_s
from hearth.api.meta import Wire, annotations_of, labels_of, spec_of
from hearth.api.names import ROUTING_STATE_LABEL
from hearth.api.serving.annotations import autoscaling_annotations
from hearth.api.serving.schedule import SCHEDULE_ANNOTATION, ScheduledFloor, parse_schedule

PROGRESS_DEADLINE_ANNOTATION = "serving.knative.dev/progress-deadline"

TIMEOUT_S = 300.0  #: Knative's revision-timeout-seconds
WINDOW_S_MIN = 6.0  #: Knative's: less would miss samples

CONCURRENCY, RPS, CPU, MEMORY = "concurrency", "rps", "cpu", "memory"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DeciderSpec:
    """Everything a decision needs to know of the revision."""

    target: float  #: of the metric, per pod, to aim for
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
    max_drain_s: float = 300.0  #: what is open may keep it so long when none does any more
    autoscaler_class: str = KPA
    metric: str = CONCURRENCY
    total: float = 100.0  #: of the metric, that a pod can do
    target_burst_capacity: float = 211.0
    scale_to_zero: bool = True
    weighted: bool = False  #: newer seconds count more
    schedule: tuple[ScheduledFloor, ...] = ()

    @property
    def is_kpa(self) -> bool:
        """Whether requests decide; else the machine's figures, or somebody else."""
        return self.autoscaler_class == KPA

    @property
    def is_hpa(self) -> bool:
        """Whether the machine's figures decide."""
        return self.autoscaler_class == HPA

    @property
    def floor(self) -> int:
        """Pods that stay whatever the load."""
        return self.min_scale if self.reachable else 0


def decider_spec(revision: Wire, defaults: AutoscalerConfig | None = None) -> DeciderSpec:
    """Read a Revision's annotations; what they leave open is Knative's default.

    So is what cannot be read: it is refused at the door, but not by every API server.
    """
    base = defaults or AutoscalerConfig()
    own = autoscaling_annotations(annotations_of(revision))
    window_s = max(WINDOW_S_MIN, _read(own, "window", parse_duration_s, base.stable_window_s))
    panic_share = _percentage(own, "panic-window-percentage", base.panic_window_share)
    deadline = {"deadline": annotations_of(revision).get(PROGRESS_DEADLINE_ANNOTATION, "")}
    reachable = labels_of(revision).get(ROUTING_STATE_LABEL, "active") in ("active", "pending")
    kind = own.get("class") or base.autoscaler_class
    metric = own.get("metric") or (CPU if kind == HPA else CONCURRENCY)
    target, total = _target(revision, own, base, metric)
    algorithm = own.get("metric-aggregation-algorithm", "")
    return DeciderSpec(
        target=target,
        min_scale=_read(own, "min-scale", int, base.min_scale),
        max_scale=_read(own, "max-scale", int, base.max_scale),
        initial_scale=_initial_scale(own, base),
        activation_scale=max(1, _read(own, "activation-scale", int, 1)),
        stable_window_s=window_s,
        panic_window_s=max(1.0, window_s * panic_share),
        panic_threshold=_percentage(own, "panic-threshold-percentage", base.panic_threshold),
        max_scale_up_rate=base.max_scale_up_rate,
        max_scale_down_rate=base.max_scale_down_rate,
        scale_down_delay_s=_read(
            own, "scale-down-delay", parse_duration_s, base.scale_down_delay_s
        ),
        retention_s=_read(
            own, "scale-to-zero-pod-retention-period", parse_duration_s, base.retention_s
        ),
        progress_deadline_s=_read(deadline, "deadline", parse_duration_s, base.progress_deadline_s),
        reachable=reachable,
        max_drain_s=float(spec_of(revision).get("timeoutSeconds") or TIMEOUT_S),
        autoscaler_class=kind,
        metric=metric,
        total=total,
        target_burst_capacity=_read(
            own, "target-burst-capacity", float, base.target_burst_capacity
        ),
        scale_to_zero=base.enable_scale_to_zero,
        weighted=algorithm in ("weighted-exponential", "weightedExponential"),
        schedule=_schedule(annotations_of(revision).get(SCHEDULE_ANNOTATION, "")),
    )


def _schedule(text: str) -> tuple[ScheduledFloor, ...]:
    try:
        return parse_schedule(text)
    except ValueError:
        return ()


def _initial_scale(own: dict[str, str], base: AutoscalerConfig) -> int:
    asked = _read(own, "initial-scale", int, base.initial_scale)
    return asked if asked or base.allow_zero_initial_scale else base.initial_scale


def _target(
    revision: Wire, own: dict[str, str], base: AutoscalerConfig, metric: str
) -> tuple[float, float]:
    """What to aim for per pod, and what a pod can do; requests never above the hard limit.

    Source: knative/serving pkg/reconciler/autoscaling/resources/target.go.
    """
    limit = float(spec_of(revision).get("containerConcurrency") or 0)
    if metric == RPS:
        total, utilisation = base.target_rps, base.other_utilisation
    else:
        total, utilisation = limit or base.target_concurrency, base.target_utilisation
    if "target" in own:
        total = _read(own, "target", float, total)
        if metric == CONCURRENCY and limit:
            total = min(total, limit)
    utilisation = _percentage(own, "target-utilization-percentage", utilisation)
    return max(TARGET_MIN, total * utilisation), total


def _percentage(own: dict[str, str], name: str, otherwise: float) -> float:
    """An annotation in percent, as a share."""
    return _read(own, name, float, otherwise * 100) / 100


def _read(own: dict[str, str], name: str, parse: Callable[[str], T], otherwise: T) -> T:
    try:
        return parse(own[name]) if own.get(name) else otherwise
    except ValueError:
        return otherwise
