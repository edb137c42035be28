from dataclasses import replace

import pytest

from hearth.autoscaler.core.decider import Observation, State, decide, resumed
from hearth.autoscaler.core.spec import DeciderSpec

SPEC = DeciderSpec(
    target=10, min_scale=0, max_scale=0, initial_scale=1, activation_scale=1, stable_window_s=60,
    panic_window_s=6, panic_threshold=2, max_scale_up_rate=1000, max_scale_down_rate=2,
    scale_down_delay_s=0, retention_s=0, progress_deadline_s=600, reachable=True,
)  # fmt: skip


def seen(ready=1, stable=0.0, panic=None, at=1000.0, replicas=None, observed=600.0, idle=None):
    return Observation(
        at_s=at, ready_pods=ready, replicas=ready if replicas is None else replicas,
        stable=stable, panic=stable if panic is None else panic,
        idle=stable == 0 if idle is None else idle, observed_s=observed,
    )  # fmt: skip


REACHED = State(reached_initial=True)


@pytest.mark.parametrize(
    ("spec", "observed", "was", "want"),
    [
        pytest.param({}, seen(ready=2, stable=20), REACHED, 2, id="steady"),
        pytest.param({}, seen(ready=2, stable=31), REACHED, 4, id="up-rounds-up"),
        pytest.param({}, seen(ready=8, stable=1), REACHED, 4, id="down-is-rate-limited"),
        pytest.param({}, seen(ready=1, stable=5, panic=45), REACHED, 5, id="burst-panics"),
        pytest.param({"max_scale_up_rate": 2.0}, seen(stable=90), REACHED, 2, id="up-rate"),
        pytest.param({"min_scale": 3}, seen(stable=1), REACHED, 3, id="min-scale"),
        pytest.param({"min_scale": 3, "reachable": False}, seen(), REACHED, 0, id="unreachable"),
        pytest.param({"max_scale": 2}, seen(stable=500), REACHED, 2, id="max-scale"),
        pytest.param({"activation_scale": 3}, seen(stable=5), REACHED, 3, id="activation-scale"),
        pytest.param({"activation_scale": 3}, seen(stable=60, ready=6), REACHED, 6, id="above-it"),
        pytest.param({}, seen(), REACHED, 0, id="idle-goes-to-zero"),
        pytest.param({}, seen(observed=30), REACHED, 1, id="not-before-a-whole-window"),
        pytest.param({}, seen(stable=0, idle=False), REACHED, 1, id="not-after-a-request"),
        pytest.param({"retention_s": 90.0}, seen(), replace(REACHED, idle_since_s=950.0), 1,
                     id="the-last-pod-is-kept"),
        pytest.param({"retention_s": 90.0}, seen(), replace(REACHED, idle_since_s=900.0), 0,
                     id="until-its-time-has-come"),
        pytest.param({"initial_scale": 5}, seen(ready=0, replicas=5), State(), 5,
                     id="the-initial-scale-is-reached-first"),
        pytest.param({"initial_scale": 5}, seen(ready=0, replicas=0), State(), 0,
                     id="zero-stays-zero"),
        pytest.param({"initial_scale": 5}, seen(ready=0, replicas=5, observed=631.0), State(), 0,
                     id="unless-it-never-comes-up"),
        pytest.param({"initial_scale": 5}, seen(ready=1, replicas=5, observed=631.0), State(), 5,
                     id="but-part-of-it-is-hope"),
        pytest.param({"initial_scale": 5, "reachable": False}, seen(ready=1, replicas=5), State(),
                     0, id="unreachable-needs-no-initial-scale"),
        pytest.param({"reachable": False}, seen(ready=8), REACHED, 0,
                     id="unreachable-goes-down-at-once"),
        pytest.param({"reachable": False, "retention_s": 90.0}, seen(), REACHED, 0,
                     id="unreachable-is-not-kept"),
        pytest.param({"activation_scale": 3}, seen(ready=3, idle=False), REACHED, 3,
                     id="short-requests-keep-the-activation-scale"),
        pytest.param({}, seen(replicas=0, ready=0), REACHED, 0, id="at-zero"),
        pytest.param({"activation_scale": 3}, seen(ready=3), REACHED, 1,
                     id="idle-the-activation-scale-holds-nothing"),
        pytest.param({"activation_scale": 3, "max_scale": 2}, seen(stable=5), REACHED, 2,
                     id="the-maximum-is-above-the-activation-scale"),
        pytest.param({"min_scale": 3, "max_scale": 2}, seen(stable=5), REACHED, 3,
                     id="the-minimum-wins"),
        pytest.param({"scale_to_zero": False}, seen(), REACHED, 1, id="zero-is-switched-off"),
        pytest.param({"metric": "rps"}, seen(stable=35), REACHED, 4, id="requests-per-second"),
    ],
)  # fmt: skip
def test_decide(spec, observed, was, want):
    assert decide(replace(SPEC, **spec), observed, was)[0].replicas == want


def test_panic_never_goes_down_and_ends_a_stable_window_after_the_last_excess():
    answer, state = decide(SPEC, seen(stable=5, panic=45, at=0), REACHED)
    assert answer.replicas == 5
    answer, state = decide(SPEC, seen(ready=5, stable=12, panic=12, at=50), state)
    assert answer.replicas == 5
    answer, _ = decide(SPEC, seen(ready=5, stable=12, panic=12, at=61), state)
    assert answer.replicas == 2


def test_a_scale_down_waits_for_its_delay():
    spec = replace(SPEC, scale_down_delay_s=30.0)
    _, state = decide(spec, seen(ready=4, stable=40, at=0), REACHED)
    answer, state = decide(spec, seen(ready=4, stable=20, at=20), state)
    assert answer.replicas == 4
    answer, _ = decide(spec, seen(ready=4, stable=20, at=31), state)
    assert answer.replicas == 2


def test_panic_begins_when_whole_pods_reach_the_threshold():
    assert decide(SPEC, seen(stable=5, panic=10), REACHED)[1].panic_since_s is None
    assert decide(SPEC, seen(stable=5, panic=10.1), REACHED)[1].panic_since_s == 1000


def test_in_panic_the_higher_window_counts():
    panicking = State(panic_since_s=990.0, panic_pods=2, reached_initial=True)
    assert decide(SPEC, seen(ready=4, stable=60, panic=30), panicking)[0].replicas == 6


def test_resumed_pods_stay_for_a_stable_window():
    state = resumed(1000.0, 5, reached_initial=True)
    answer, state = decide(SPEC, seen(ready=5, at=1030), state)
    assert answer.replicas == 5
    answer, _ = decide(SPEC, seen(ready=5, at=1061), state)
    assert answer.replicas == 2


def test_one_resumed_pod_needs_no_panic():
    assert resumed(1000.0, 1, reached_initial=False) == State()


def test_what_a_delay_remembers_stays_small():
    spec = replace(SPEC, scale_down_delay_s=3600.0)
    state, longest = REACHED, 0
    for step in range(5000):
        load = 400 - 300 * (step % 100) / 100
        _, state = decide(spec, seen(ready=40, stable=load, at=step * 0.1), state)
        longest = max(longest, len(state.delayed))
    assert longest <= 40
    answer, _ = decide(spec, seen(ready=40, stable=200, at=500.0), state)
    assert answer.replicas == 40
    answer, _ = decide(spec, seen(ready=40, stable=200, at=500 + 3602.0), state)
    assert answer.replicas == 20


@pytest.mark.parametrize(
    ("capacity", "ready", "panic", "want"),
    [(0, 1, 500, 0), (-1, 9, 0, -1), (200, 3, 50.5, 49), (200, 1, 0, -100), (200, 0, 10, -210)],
)
def test_excess_burst_capacity(capacity, ready, panic, want):
    spec = replace(SPEC, target_burst_capacity=float(capacity))
    assert decide(spec, seen(ready=ready, panic=panic), REACHED)[0].excess_burst == want


@pytest.mark.parametrize(
    ("spec", "observed", "said"),
    [
        ({}, seen(ready=3, stable=25), "25.00 in flight over 60 s, target 10 per pod"),
        ({"metric": "rps"}, seen(ready=3, stable=25), "25.00 requests per second over 60 s"),
        ({}, seen(ready=9, stable=5), "not below 4 in this step"),
        ({"max_scale_up_rate": 2}, seen(ready=1, stable=95, panic=0), "not above 2 in this step"),
        ({}, seen(stable=5, panic=45), "panic: 45.00 in flight over 6 s"),
        ({"min_scale": 2}, seen(stable=5), "not below min-scale 2"),
        ({"max_scale": 2}, seen(stable=90, panic=0), "not above max-scale 2; 90.00 in flight"),
        ({"scale_to_zero": False}, seen(), "enable-scale-to-zero is false"),
        ({"retention_s": 9.0}, seen(), "kept for 9 s after the last request"),
    ],
)
def test_the_reason_names_what_decided(spec, observed, said):
    assert said in decide(replace(SPEC, **spec), observed, REACHED)[0].reason


def test_every_answer_says_why():
    for observed in (seen(), seen(stable=5), seen(stable=5, panic=99), seen(observed=1)):
        assert decide(SPEC, observed, REACHED)[0].reason


def test_what_is_open_keeps_a_superseded_revision_for_a_while_only():
    spec = replace(SPEC, reachable=False, max_drain_s=120.0)
    answers, state = [], REACHED
    for at in (1000.0, 1100.0, 1120.0):
        answer, state = decide(spec, seen(stable=1, at=at), state)
        answers.append(answer.replicas)
    assert answers == [1, 1, 0]
    assert "no Route has sent requests to it for 120 s" in answer.reason


def test_a_revision_that_gets_requests_again_is_not_superseded():
    spec = replace(SPEC, reachable=False, max_drain_s=120.0)
    _, state = decide(spec, seen(stable=1, at=1000.0), REACHED)
    _, state = decide(replace(spec, reachable=True), seen(stable=1, at=1100.0), state)
    answer, _ = decide(spec, seen(stable=1, at=1120.0), state)
    assert answer.replicas == 1
