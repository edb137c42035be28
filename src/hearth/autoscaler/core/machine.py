"""How many pods a revision of the CPU and memory class should have: Kubernetes' rules, pure.

The figure of all pods together, over the target, is the ratio by which the number of pods is
wrong. Within a tenth of 1 nothing changes. Pods without figures are taken for idle when it would
go up and for fully busy when it would go down, and pods that are not ready for idle, so that an
unknown never makes the change larger. It goes up by at most four pods or to the double in one
step, and down only to the highest number of the last five minutes. Never below one pod while any
Route refers to the revision, and to zero when none does.

Source: kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale, and kube-controller-
manager pkg/controller/podautoscaler (replica_calculator.go, horizontal.go).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hearth.autoscaler.core.decider import Answer
from hearth.autoscaler.core.spec import CPU, MEMORY

INTERVAL_S = 15.0  #: Kubernetes' horizontal-pod-autoscaler-sync-period
TOLERANCE = 0.1  #: Kubernetes' horizontal-pod-autoscaler-tolerance
DOWN_WINDOW_S = 300.0  #: Kubernetes' stabilisation of scaling down
STEP_PODS, STEP_FACTOR = 4, 2  #: Kubernetes' policies of scaling up, per 15 s
CPU_PERCENT_DEFAULT = 80.0  #: Kubernetes' when no target is given
MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """What the revision asks for."""

    metric: str  #: ``cpu`` or ``memory``
    target: float  #: percent of the request, or MiB per pod
    low: int  #: pods at least
    high: int  #: pods at most; 0 is no limit
    up_window_s: float = 0.0
    down_window_s: float = DOWN_WINDOW_S

    @property
    def by_utilisation(self) -> bool:
        """Whether the target is a share of the request."""
        return self.metric == CPU


@dataclass(frozen=True, slots=True)
class PodFigure:
    """One pod: what it uses, in CPUs or bytes, None if that is not known; and what it asked for."""

    used: float | None
    request: float
    ready: bool = True


@dataclass(frozen=True, slots=True)
class MachineState:
    """What a decision remembers: the numbers recommended before, oldest first."""

    recommended: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Measured:
    """The current value, as Kubernetes shows it."""

    percent: int | None  #: of the request
    average: float  #: per pod, in CPUs or bytes


class NoFigures(Exception):
    """Nothing can be decided; the message says why, in Kubernetes' words where it has some."""


def measure(spec: MachineSpec, pods: Sequence[PodFigure]) -> Measured:
    """The average over the ready pods that have figures.

    Raises:
        NoFigures: none has any, or the request that the target is a share of is missing.
    """
    if spec.metric not in (CPU, MEMORY):
        raise NoFigures(f"metric {spec.metric} is not measured here, only cpu and memory are")
    known = [pod for pod in pods if pod.used is not None and pod.ready]
    if not known:
        raise NoFigures(f"no metrics returned from resource metrics API for {spec.metric}")
    used = sum(pod.used or 0.0 for pod in known)
    average = used / len(known)
    if not spec.by_utilisation:
        return Measured(None, average)
    request = sum(pod.request for pod in known)
    if not request:
        raise NoFigures(f"missing request for {spec.metric}")
    return Measured(int(used * 100 / request), average)


def decide_by_machine(
    spec: MachineSpec, at_s: float, replicas: int, pods: Sequence[PodFigure], was: MachineState
) -> tuple[Answer, MachineState]:
    """Decide once.

    Args:
        spec: what the revision asks for.
        at_s: now.
        replicas: the scale that is set.
        pods: those there are.
        was: what the decision before returned.

    Raises:
        NoFigures: see :func:`measure`.
    """
    now = measure(spec, pods)
    wanted = _replicas(spec, replicas, pods)
    reason = _said(spec, now)
    window_s = max(spec.up_window_s, spec.down_window_s)
    recent = tuple(each for each in was.recommended if at_s - each[0] < window_s)
    state = replace(was, recommended=(*recent, (at_s, wanted)))
    stable = _stabilised(spec, at_s, replicas, wanted, recent)
    if stable != wanted:
        reason = f"{reason}; {wanted} pods would do, but not for long enough"
    most = max(replicas + STEP_PODS, replicas * STEP_FACTOR)
    if stable > most:
        stable, reason = most, f"{reason}; not above {most} in this step"
    if stable < spec.low:
        return Answer(spec.low, f"{reason}; not below {spec.low}"), state
    if spec.high and stable > spec.high:
        return Answer(spec.high, f"{reason}; not above max-scale {spec.high}"), state
    return Answer(stable, reason), state


def _said(spec: MachineSpec, now: Measured) -> str:
    if spec.by_utilisation:
        return f"cpu at {now.percent} % of the request, target {spec.target:g} %"
    return f"memory at {now.average / MEBIBYTE:.1f} MiB per pod, target {spec.target:g} MiB"


def _replicas(spec: MachineSpec, replicas: int, pods: Sequence[PodFigure]) -> int:
    known = [pod for pod in pods if pod.used is not None and pod.ready]
    ratio = _ratio(spec, known)
    missing = [pod for pod in pods if pod.used is None]
    unready = [pod for pod in pods if pod.used is not None and not pod.ready]
    counted = list(known)
    if missing and ratio != 1:
        full = spec.target * MEBIBYTE if not spec.by_utilisation else None
        counted += [
            replace(p, used=(full if full is not None else p.request) if ratio < 1 else 0.0)
            for p in missing
        ]
    if unready and ratio > 1:
        counted += [replace(pod, used=0.0) for pod in unready]
    new = _ratio(spec, counted)
    turned = (ratio < 1 < new) or (new < 1 < ratio)
    if abs(new - 1) <= TOLERANCE or turned:
        return replicas
    wanted = math.ceil(round(new * len(counted), 6))
    against = (new < 1 and wanted > replicas) or (new > 1 and wanted < replicas)
    return replicas if against else wanted


def _ratio(spec: MachineSpec, pods: Sequence[PodFigure]) -> float:
    used = sum(pod.used or 0.0 for pod in pods)
    if spec.metric == MEMORY:
        return used / len(pods) / (spec.target * MEBIBYTE)
    return used * 100 / sum(pod.request for pod in pods) / spec.target


def _stabilised(
    spec: MachineSpec,
    at_s: float,
    replicas: int,
    wanted: int,
    recent: tuple[tuple[float, int], ...],
) -> int:
    """Up to the lowest number of the up window, down to the highest of the down window."""
    up = min([wanted, *(n for at, n in recent if at_s - at < spec.up_window_s)])
    down = max([wanted, *(n for at, n in recent if at_s - at < spec.down_window_s)])
    return min(max(replicas, up), down)
