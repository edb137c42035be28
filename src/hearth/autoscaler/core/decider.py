"""How many pods a revision should have: Knative's rules as a pure function.

Stable: enough pods that each has at most the target in flight, averaged over the stable window.
Panic: when the panic window's average asks for twice what the pods can do, follow the higher of
both windows and never go down until a stable window has passed since.

Unlike Knative's, going to zero needs no hand-over to an activator: a gateway holds requests by
itself when a revision has no instance. So a revision goes to zero when its stable window saw no
request, its last pod has been kept for the retention period, and it has reached its initial scale
or failed to in its progress deadline. The scale-to-zero grace period, which bounds that hand-over,
has no meaning here.

Source: knative/serving pkg/autoscaler/scaling/autoscaler.go and docs/scaling/SYSTEM.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from hearth.autoscaler.core.spec import DeciderSpec

TICK_S = 2.0  #: Knative's tick-interval: between decisions
DEADLINE_SLACK_S = 30.0  #: Knative's activationTimeoutBuffer: others report the failure first


@dataclass(frozen=True, slots=True)
class Observation:
    """What is seen of a revision at one moment."""

    at_s: float
    ready_pods: int
    replicas: int  #: the scale that is set now
    stable: float  #: requests in flight, averaged over the stable window
    panic: float  #: over the panic window
    idle: bool  #: no request at all in the stable window, however short
    observed_s: float  #: for how long there has been anything to observe


@dataclass(frozen=True, slots=True)
class State:
    """What a decision remembers for the next one."""

    panic_since_s: float | None = None  #: when the panic threshold was last exceeded
    panic_pods: int = 0  #: most pods asked for during this panic
    reached_initial: bool = False
    idle_since_s: float | None = None
    #: of the answers within the scale-down delay those that no later one exceeded, by tick
    delayed: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """How many pods, and why."""

    replicas: int
    reason: str


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
    state = _remember(spec, seen, was)
    wanted, reason, state = _follow_load(spec, seen, state)
    wanted, state = _delay_down(spec, seen, wanted, state)
    wanted, reason = _bound(spec, seen, wanted, reason, state)
    return Answer(wanted, reason), state


def _remember(spec: DeciderSpec, seen: Observation, was: State) -> State:
    reached = was.reached_initial or seen.ready_pods >= max(spec.min_scale, spec.initial_scale)
    since = seen.at_s if was.idle_since_s is None else was.idle_since_s
    return replace(was, reached_initial=reached, idle_since_s=since if seen.idle else None)


def _follow_load(spec: DeciderSpec, seen: Observation, was: State) -> tuple[int, str, State]:
    """The pods that the windows ask for, at the rates allowed."""
    ready = max(1, seen.ready_pods)
    most = math.ceil(spec.max_scale_up_rate * ready)
    least = math.floor(ready / spec.max_scale_down_rate) if spec.reachable else 0
    if not seen.idle:  # requests may be too short for any sample to meet one
        least = max(least, 1)
    asked = math.ceil(seen.panic / spec.target)
    stable = _clamp(math.ceil(seen.stable / spec.target), least, most)
    panic = _clamp(asked, least, most)
    state = _panic_state(spec, seen, was, over=asked >= spec.panic_threshold * ready)
    if state.panic_since_s is None:
        return stable, f"{seen.stable:.2f} in flight over {spec.stable_window_s:g} s", state
    pods = max(state.panic_pods, stable, panic)
    reason = f"panic: {seen.panic:.2f} in flight over {spec.panic_window_s:g} s"
    return pods, reason, replace(state, panic_pods=pods)


def _panic_state(spec: DeciderSpec, seen: Observation, was: State, *, over: bool) -> State:
    if over:
        return replace(was, panic_since_s=seen.at_s)
    if was.panic_since_s is None or seen.at_s - was.panic_since_s <= spec.stable_window_s:
        return was
    return replace(was, panic_since_s=None, panic_pods=0)


def _delay_down(spec: DeciderSpec, seen: Observation, wanted: int, was: State) -> tuple[int, State]:
    """The most that was wanted within the scale-down delay.

    Source: knative/serving pkg/autoscaler/aggregation/max/window.go (descending maxima).
    """
    if not spec.scale_down_delay_s or not spec.reachable:
        return wanted, was
    tick = int(seen.at_s // TICK_S)
    oldest = tick - math.ceil(spec.scale_down_delay_s / TICK_S)
    higher = tuple(item for item in was.delayed if item[0] > oldest and item[1] > wanted)
    recent = higher if higher and higher[-1][0] == tick else (*higher, (tick, wanted))
    return recent[0][1], replace(was, delayed=recent)


def _bound(
    spec: DeciderSpec, seen: Observation, wanted: int, reason: str, state: State
) -> tuple[int, str]:
    """Minimum, maximum, initial and activation scale, and what it takes to go to zero."""
    low = spec.min_scale if spec.reachable else 0
    if _still_coming_up(spec, seen, state):  # whoever set the scale first meant it
        low = max(low, min(spec.initial_scale, seen.replicas))
    if wanted > 0:
        low = max(low, spec.activation_scale)
    if wanted < low:
        wanted, reason = low, f"not below {low}"
    if wanted == 0 and seen.replicas > 0 and (why := _stays(spec, seen, state)):
        wanted, reason = 1, why
    if spec.max_scale and wanted > spec.max_scale:
        wanted, reason = spec.max_scale, f"not above max-scale {spec.max_scale}"
    return wanted, reason


def _still_coming_up(spec: DeciderSpec, seen: Observation, state: State) -> bool:
    """Whether the initial scale counts: not reached yet, and there is hope.

    Source: knative/serving pkg/reconciler/autoscaling/kpa/scaler.go (activationTimeout).
    """
    hopeless = not seen.ready_pods and seen.observed_s > spec.progress_deadline_s + DEADLINE_SLACK_S
    return spec.reachable and not state.reached_initial and not hopeless


def _stays(spec: DeciderSpec, seen: Observation, state: State) -> str:
    """Why the last pod must stay, or empty."""
    if seen.observed_s < spec.stable_window_s:
        return f"observed for {seen.observed_s:.0f} of {spec.stable_window_s:g} s"
    if not seen.idle:
        return "there were requests"
    if not spec.reachable or state.idle_since_s is None:
        return ""
    if seen.at_s - state.idle_since_s < spec.retention_s:
        return f"kept for {spec.retention_s:g} s after the last request"
    return ""


def _clamp(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))
