import random

import pytest

from hearth.node.core.lifecycle import (
    BACKOFF_RESET_S,
    Asked,
    BackoffOver,
    BecameReady,
    Delete,
    Drain,
    DrainOver,
    Exited,
    Forget,
    GraceOver,
    Kill,
    Later,
    LostReadiness,
    Placed,
    PodMachine,
    Refused,
    Report,
    Start,
    Terminate,
)


def machine(policy="Always", *events):
    found = PodMachine(policy, drain_s=1.0)
    for event in events:
        found.on(event)
        found.check()
    return found


RUNNING = (Asked(), Placed(0.0), BecameReady())


def exited(code=1, at=1.0, message="oh"):
    return Exited(at, code, "Error" if code else "Completed", message)


def test_a_pod_is_started_once_and_reported_when_it_answers():
    pod = machine()
    assert pod.on(Asked()) == [Start()]
    assert pod.on(Asked()) == []
    assert pod.on(Placed(0.0)) == []
    assert pod.on(BecameReady()) == [Report()]
    assert pod.on(BecameReady()) == []
    assert pod.on(LostReadiness()) == [Report()]
    assert pod.state == "running"


def test_what_cannot_run_waits_with_a_reason():
    pod = machine("Always", Refused("ErrImagePull", "no runtime"))
    assert (pod.state, pod.waiting_reason, pod.waiting_message) == (
        "waiting",
        "ErrImagePull",
        "no runtime",
    )


def test_what_cannot_run_as_things_are_is_tried_again():
    pod = machine("Never", Asked())
    effects = pod.on(Refused("CreateContainerConfigError", "no secret"))
    assert effects == [Report(), Later(10, BackoffOver())]
    assert pod.state == "waiting"
    assert pod.on(BackoffOver()) == [Start()]


def test_a_refusal_comes_too_late_for_what_runs():
    assert machine("Always", Asked(), Placed(0.0)).on(Refused("x", "y")) == []
    assert machine("Always", *RUNNING).on(Refused("x", "y")) == []


@pytest.mark.parametrize(
    ("policy", "code", "state"),
    [
        pytest.param("Always", 0, "waiting", id="always"),
        pytest.param("OnFailure", 1, "waiting", id="failed"),
        pytest.param("OnFailure", 0, "ended", id="succeeded"),
        pytest.param("Never", 1, "ended", id="never"),
    ],
)
def test_the_restart_policy_decides_what_follows_an_exit(policy, code, state):
    pod = machine(policy, *RUNNING, exited(code))
    assert (pod.state, pod.ready) == (state, False)


def test_restarts_wait_longer_each_time_and_a_long_run_resets_that():
    pod, pauses = machine("Always", *RUNNING), []
    for _ in range(4):
        pauses += [e.after_s for e in pod.on(exited()) if isinstance(e, Later)]
        pod.on(BackoffOver())
        pod.on(Placed(0.0))
    assert pauses == [0, 10, 20, 40]
    effects = pod.on(exited(at=BACKOFF_RESET_S + 1))
    assert [e.after_s for e in effects if isinstance(e, Later)] == [10]


def test_a_pod_in_routing_is_drained_before_it_is_asked_to_end():
    pod = machine("Always", *RUNNING)
    assert pod.on(Delete(30, routed=True)) == [Drain(1.0, 31.0), Later(33.0, GraceOver())]
    assert pod.on(DrainOver()) == [Terminate()]
    assert pod.on(GraceOver()) == [Kill()]
    assert pod.on(exited()) == [Kill(), Forget()]
    assert pod.on(Asked()) == []


def test_a_pod_outside_routing_is_asked_at_once():
    pod = machine("Always", *RUNNING)
    assert pod.on(Delete(30, routed=False))[0] == Later(0.0, DrainOver())
    assert pod.on(Delete(0, routed=False)) == [Later(0, GraceOver())]


def test_a_pod_without_a_process_is_gone_at_once():
    assert machine().on(Delete(30, routed=True)) == [Forget()]


def test_a_pod_deleted_while_it_starts_is_killed_when_it_is_placed():
    pod = machine("Always", Asked(), Delete(30, routed=False), DrainOver())
    assert pod.state == "stopping"
    assert pod.on(Placed(0.0)) == [Kill()]
    assert pod.on(DrainOver()) == []


def test_any_order_of_events_keeps_the_invariants():
    for seed in range(300):
        chance = random.Random(seed)
        pod = machine(chance.choice(["Always", "Never", "OnFailure"]))
        has_process = False
        for _ in range(40):
            events = [Asked(), BackoffOver(), BecameReady(), LostReadiness(), DrainOver(),
                      GraceOver(), Delete(chance.choice([0, 30]), chance.random() < 0.5),
                      Refused("x", "y")]  # fmt: skip
            if has_process:
                events.append(exited(chance.choice([0, 1, -9])))
            elif pod.state in ("starting", "draining", "stopping"):
                events.append(Placed(0.0))
            event = chance.choice(events)
            has_process = isinstance(event, Placed) or (
                has_process and not isinstance(event, Exited)
            )
            pod.on(event)
            pod.check()
