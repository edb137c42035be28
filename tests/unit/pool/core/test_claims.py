import random

import pytest

from hearth.api.meta import ObjectKey
from hearth.pool.core.claims import (
    BACKOFF_MAX_S,
    AppFailed,
    Claim,
    Claims,
    Failure,
    FallBack,
    Forgotten,
    Grant,
    PodLost,
    PodUnready,
    PodWarm,
    Refuse,
    Succeeded,
)

A, B = ObjectKey("root", "default", "a-1"), ObjectKey("root", "default", "b-1")
OOPS = Failure("ImportFailed", "oops")


def claims(*events):
    machine = Claims()
    for event in events:
        machine.on(event)
        machine.check()
    return machine


def claim(revision=A, at_s=0.0, pools=("python",)):
    return Claim(revision, pools, at_s)


def test_the_oldest_warm_pod_is_granted_and_to_one_claim_only():
    machine = claims(PodWarm("python", "p1"), PodWarm("python", "p2"))
    assert machine.on(claim(A)) == Grant("python", "p1")
    assert machine.on(claim(B)) == Grant("python", "p2")
    assert machine.on(claim(B)) == FallBack()


def test_a_reserved_pod_never_becomes_free_again():
    machine = claims(PodWarm("python", "p1"))
    machine.on(claim())
    machine.on(PodWarm("python", "p1"))  # its status changed while it is injected
    assert machine.on(claim(B)) == FallBack()
    machine.on(PodLost("p1"))
    assert machine.reserved == {}


def test_a_lost_pod_is_not_granted():
    assert claims(PodWarm("python", "p1"), PodLost("p1")).on(claim()) == FallBack()


def test_a_pod_that_is_not_ready_is_not_granted_and_stays_whose_it_is():
    machine = claims(PodWarm("python", "p1"), PodWarm("python", "p2"), PodUnready("p1"))
    assert machine.on(claim()) == Grant("python", "p2")
    machine.on(PodUnready("p2"))
    assert machine.reserved == {"p2": "python"}
    machine.on(PodWarm("python", "p1"))
    assert machine.on(claim(B)) == Grant("python", "p1")


def test_pools_are_tried_in_order():
    machine = claims(PodWarm("small", "s"), PodWarm("large", "l"))
    assert machine.on(claim(pools=("large", "small"))) == Grant("large", "l")
    assert machine.on(claim(pools=("large", "small"))) == Grant("small", "s")
    assert machine.on(claim(pools=())) == FallBack()


def test_an_app_that_fails_is_refused_for_longer_each_time_and_others_are_not():
    machine = claims(PodWarm("python", "p1"), AppFailed(A, OOPS, 0.0))
    assert machine.on(claim(A, 0.5)) == Refuse(OOPS, 0.5)
    assert (machine.pause_s(A, 0.5), machine.pause_s(A, 1.5), machine.pause_s(B, 0)) == (0.5, 0, 0)
    assert machine.failure_of(A) == OOPS
    machine.on(AppFailed(A, OOPS, 10.0))
    assert machine.on(claim(A, 11.5)) == Refuse(OOPS, 0.5)
    assert machine.on(claim(B, 11.5)) == Grant("python", "p1")
    for number in range(40):
        machine.on(AppFailed(A, OOPS, float(number)))
    assert machine.on(claim(A, 39.0)) == Refuse(OOPS, BACKOFF_MAX_S)


@pytest.mark.parametrize("event", [Succeeded(A), Forgotten(A)], ids=["success", "deletion"])
def test_trouble_ends(event):
    machine = claims(AppFailed(A, OOPS, 0.0), event)
    assert machine.failure_of(A) is None
    assert machine.on(claim(A, 0.1)) == FallBack()


def test_no_order_of_events_grants_a_pod_twice():
    for seed in range(200):
        chance, machine, granted = random.Random(seed), Claims(), set()
        for number in range(200):
            pod = f"p{chance.randrange(20)}"
            event = chance.choice([
                PodWarm(chance.choice(["python", "node"]), f"q{number}"), PodLost(pod),
                claim(chance.choice([A, B]), number, ("python", "node")),
                AppFailed(A, OOPS, number), Succeeded(A),
            ])  # fmt: skip
            effect = machine.on(event)
            machine.check()
            if isinstance(effect, Grant):
                assert effect.pod not in granted
                granted.add(effect.pod)
