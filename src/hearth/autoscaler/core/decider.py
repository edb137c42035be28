"""How many pods a revision should have: Knative's rules as a pure function.

Stable: enough pods that each has at most the target of requests in flight, or per second, averaged
over the stable window.
Panic: when the panic window's average asks for twice what the pods can do, follow the higher of
both windows and never go down until a stable window has passed since.

Unlike Knative's, going to zero needs no hand-over to an activator: a gateway holds requests by
itself when a revision has no instance. So a revision goes to zero when its stable window saw no
request, its last pod has been kept for the retention period, and it has reached its initial scale
or failed to in its progress deadline. The scale-to-zero grace period, which bounds that hand-over,
has no meaning here.

Also unlike Knative's, what is open to a revision keeps it for ``max_drain_s`` once no Route sends
requests to it any more, and not for ever: its pods then drain as any others that go.

Source: knative/serving pkg/autoscaler/scaling/autoscaler.go and docs/scaling/SYSTEM.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from hearth.autoscaler.core.spec import RPS, DeciderSpec

TICK_S = 2.0  #: Knative's tick-interval: between decisions
DEADLINE_SLACK_S = 30.0  #: Knative's activationTimeoutBuffer: others report the failure first


@dataclass(frozen=True, slots=True)
class Observation:
    """What is seen of a revision at one moment."""

    at_s: float
    ready_pods: int
    replicas: int  #: the scale that is set now
    stable: float  #: the metric, averaged over the stable window
    panic: float  #: over the panic window
    idle: bool  #: no request at all in the stable window, however short
    observed_s: float  #: for how long there has been anything to observe
    scheduled: int = 0  #: pods that stay whatever the load, by the schedule at this moment


@dataclass(frozen=True, slots=True)
class State:
    """What a decision remembers for the next one."""

    panic_since_s: float | None = None  #: when the panic threshold was last exceeded
    panic_pods: int = 0  #: most pods asked for during this panic
    reached_initial: bool = False
    idle_since_s: float | None = None
    superseded_s: float | None = None  #: since when no Route sends requests to it
    #: of the answers within the scale-down delay those that no later one exceeded, by tick
    delayed: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """How many pods, and why."""

    replicas: int
    reason: str
    #: requests that could come at once beyond the burst to have room for; below 0 there is too
    #: little room (Knative then sends requests through its activator), always with a target of -1
    excess_burst: int | None = 0  #: None: not known

    @property
    def has_room(self) -> bool | None:
        """Whether there is room for the burst to be ready for, if that is known."""
        return None if self.excess_burst is None else self.excess_burst >= 0


def resumed(at_s: float, replicas: int, *, reached_initial: bool) -> State:
    """The state to start from with pods that an earlier autoscaler asked for.

    As Knative's it starts in panic: it may go up, but not down until it has seen a stable window.
    """
    if replicas <= 1:  # that one stays for a stable window anyhow
        return State(reached_initial=reached_initial)
    return State(at_s, replicas, reached_initial)


def decide(spec: DeciderSpec, seen: Observation, was: State) -> tuple[Answer, State]:
    """Decide once.

    Args:
        spec: what the revision asks for.
        seen: the figures.
        was: what the decision before returned; a new ``State()`` at first.
    """
    state = remember(spec, seen, was)
    if state.superseded_s is not None and seen.at_s - state.superseded_s >= spec.max_drain_s:
        said = f"no Route has sent requests to it for {spec.max_drain_s:g} s"
        return Answer(0, said, _excess_burst(spec, seen)), state
    wanted, reason, state = _follow_load(spec, seen, state)
    wanted, reason, state = _delay_down(spec, seen, wanted, reason, state)
    wanted, reason = _bound(spec, seen, wanted, reason, state)
    return Answer(wanted, reason, _excess_burst(spec, seen)), state


def remember(spec: DeciderSpec, seen: Observation, was: State) -> State:
    """Note whether it has come up, and since when it has been idle or superseded."""
    reached = was.reached_initial or seen.ready_pods >= max(spec.min_scale, spec.initial_scale)
    since = seen.at_s if was.idle_since_s is None else was.idle_since_s
    left_s = seen.at_s if was.superseded_s is None else was.superseded_s
    return replace(
        was,
        reached_initial=reached,
        idle_since_s=since if seen.idle else None,
        superseded_s=None if spec.reachable else left_s,
    )


def _follow_load(spec: DeciderSpec, seen: Observation, was: State) -> tuple[int, str, State]:
    """The pods that the windows ask for, at the rates allowed."""
    ready = max(1, seen.ready_pods)
    most = math.ceil(spec.max_scale_up_rate * ready)
    least = math.floor(ready / spec.max_scale_down_rate) if spec.reachable else 0
    asked_stable, asked_panic = (
        math.ceil(value / spec.target) for value in (seen.stable, seen.panic)
    )
    if not seen.idle:  # requests may be too short for any sample to meet one
        asked_stable = max(asked_stable, 1)
    stable = _activated(spec, asked_stable, _clamp(asked_stable, least, most))
    panic = _activated(spec, asked_panic, _clamp(asked_panic, least, most))
    state = _panic_state(spec, seen, was, over=asked_panic >= spec.panic_threshold * ready)
    if state.panic_since_s is None:
        reason = _measured(spec, seen.stable, spec.stable_window_s)
        return stable, _with_rate(reason, asked_stable, stable), state
    pods = max(state.panic_pods, stable, panic)
    reason = f"panic: {_measured(spec, seen.panic, spec.panic_window_s)}"
    return pods, reason, replace(state, panic_pods=pods)


def _activated(spec: DeciderSpec, asked: int, pods: int) -> int:
    """Not fewer than the activation scale while there is any load."""
    return max(pods, spec.activation_scale) if asked > 0 else pods


def _measured(spec: DeciderSpec, value: float, window_s: float) -> str:
    what = "requests per second" if spec.metric == RPS else "in flight"
    return f"{value:.2f} {what} over {window_s:g} s, target {spec.target:g} per pod"


def _with_rate(reason: str, asked: int, pods: int) -> str:
    if pods > asked:
        return f"{reason}; not below {pods} in this step"
    return f"{reason}; not above {pods} in this step" if pods < asked else reason


def _panic_state(spec: DeciderSpec, seen: Observation, was: State, *, over: bool) -> State:
    if over:
        return replace(was, panic_since_s=seen.at_s)
    if was.panic_since_s is None or seen.at_s - was.panic_since_s <= spec.stable_window_s:
        return was
    return replace(was, panic_since_s=None, panic_pods=0)


def _delay_down(
    spec: DeciderSpec, seen: Observation, wanted: int, reason: str, was: State
) -> tuple[int, str, State]:
    """The most that was wanted within the scale-down delay.

    Source: knative/serving pkg/autoscaler/aggregation/max/window.go (descending maxima).
    """
    if not spec.scale_down_delay_s or not spec.reachable:
        return wanted, reason, was
    tick = int(seen.at_s // TICK_S)
    oldest = tick - math.ceil(spec.scale_down_delay_s / TICK_S)
    higher = tuple(item for item in was.delayed if item[0] > oldest and item[1] > wanted)
    recent = higher if higher and higher[-1][0] == tick else (*higher, (tick, wanted))
    if recent[0][1] > wanted:
        reason = f"scale-down-delay {spec.scale_down_delay_s:g} s"
    return recent[0][1], reason, replace(was, delayed=recent)


def _bound(
    spec: DeciderSpec, seen: Observation, wanted: int, reason: str, state: State
) -> tuple[int, str]:
    """Minimum, maximum and initial scale, and what it takes to go to zero.

    Source: knative/serving pkg/reconciler/autoscaling/kpa/scaler.go (applyBounds).
    """
    low, why = floor_of(spec, seen)
    if _still_coming_up(spec, seen, state):  # whoever set the scale first meant it
        initial = min(spec.initial_scale, seen.replicas)
        if initial > low:
            low, why = initial, f"initial-scale {spec.initial_scale} is not reached yet"
    if wanted < low:
        return low, why
    if spec.max_scale and wanted > spec.max_scale:
        return spec.max_scale, f"not above max-scale {spec.max_scale}; {reason}"
    if wanted == 0 and seen.replicas > 0 and (stays := _stays(spec, seen, state)):
        return 1, stays
    return wanted, reason


def floor_of(spec: DeciderSpec, seen: Observation) -> tuple[int, str]:
    """The pods that stay whatever the load, and why."""
    low = spec.floor
    if spec.reachable and seen.scheduled > low:
        return seen.scheduled, f"not below scheduled-min-scale {seen.scheduled}"
    return low, f"not below min-scale {low}"


def _still_coming_up(spec: DeciderSpec, seen: Observation, state: State) -> bool:
    """Whether the initial scale counts: not reached yet, and there is hope.

    Source: knative/serving pkg/reconciler/autoscaling/kpa/scaler.go (activationTimeout).
    """
    hopeless = not seen.ready_pods and seen.observed_s > spec.progress_deadline_s + DEADLINE_SLACK_S
    return spec.reachable and not state.reached_initial and not hopeless


def _stays(spec: DeciderSpec, seen: Observation, state: State) -> str:
    """Why the last pod must stay, or empty."""
    if not spec.scale_to_zero:
        return "enable-scale-to-zero is false"
    if seen.observed_s < spec.stable_window_s:
        return f"observed for {seen.observed_s:.0f} of {spec.stable_window_s:g} s"
    if not seen.idle:
        return "there were requests"
    if not spec.reachable or state.idle_since_s is None:
        return ""
    if seen.at_s - state.idle_since_s < spec.retention_s:
        return f"kept for {spec.retention_s:g} s after the last request"
    return ""


def _excess_burst(spec: DeciderSpec, seen: Observation) -> int:
    """Room for requests beyond those of the panic window and the burst to be ready for.

    Source: knative/serving pkg/autoscaler/scaling/autoscaler.go (excess burst capacity).
    """
    if spec.target_burst_capacity == 0:
        return 0
    if spec.target_burst_capacity < 0:
        return -1
    room = seen.ready_pods * spec.total
    return math.floor(room - spec.target_burst_capacity - seen.panic)


def _clamp(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))
