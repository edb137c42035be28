"""Slots: whatever happens, no instance has more streams than its limit, and none is lost."""

from __future__ import annotations

import random

import pytest

from hearth.gateway.core.slots import Early, Slots

ADDRESSES = ("a", "b", "c")


def slots(limit=1, known=ADDRESSES):
    made = Slots(limit)
    made.set_known(known)
    return made


KINDS = ("take", "take", "take", "release", "release", "known", "promise", "unpromise", "doubt",
         "trust")  # fmt: skip


def event(dice):
    kind = dice.choice(KINDS)
    if kind in ("take", "release"):
        return kind, dice.randrange(20)
    if kind == "known":
        return kind, {a for a in ADDRESSES if dice.random() < 0.6}
    return kind, dice.choice(ADDRESSES)


@pytest.mark.parametrize("limit", [1, 2, 3])
@pytest.mark.parametrize("seed", range(30))
def test_an_instance_never_has_more_streams_than_its_limit(limit, seed):
    dice = random.Random(seed)
    events = [event(dice) for _ in range(200)]
    made, given_to = slots(limit), {}
    for kind, value in events:
        match kind:
            case "take" if value not in given_to:
                address = made.take(str(value))
                room = [a for a in made.open if sum(g == a for g in given_to.values()) < limit]
                assert (address in room) if room else address is None
                if address:
                    given_to[value] = address
            case "release" if value in given_to:
                made.release(given_to.pop(value), str(value))
            case "known":
                made.set_known(value)
            case "promise":
                made.promise(value)
            case "unpromise":
                made.unpromise(value)
            case "doubt" | "trust":
                made.doubt(value, doubted=kind == "doubt")
        made.check()
        assert made.taken == len(given_to)
    for value, address in given_to.items():
        made.release(address, str(value))
    assert made.taken == 0


def test_the_least_used_instance_is_next():
    made = slots(limit=2)
    assert sorted(made.take(str(n)) for n in range(3)) == ["a", "b", "c"]
    assert sorted(made.take(str(n)) for n in range(3, 6)) == ["a", "b", "c"]
    assert made.take("7") is None


def test_a_pod_that_went_gets_nothing_more_and_keeps_what_it_has():
    made = slots(known=["a"])
    assert made.take("1") == "a"
    made.set_known(["b"])
    assert made.open == ["b"]
    assert made.taken == 1
    made.release("a", "1")
    assert list(made.instances) == ["b"]


@pytest.mark.parametrize("seen_before", [False, True])
def test_a_promise_holds_until_the_pod_is_seen_to_go_or_time_is_up(seen_before):
    made = slots(known=["a"] if seen_before else [])
    made.promise("a")
    made.set_known([])
    assert made.open == ([] if seen_before else ["a"])
    made.unpromise("a")
    assert made.open == []


def test_streams_that_ended_early_are_known_once():
    early = Early()
    early.add("1")
    assert early.take("1")
    assert not early.take("1")


def test_what_an_earlier_companion_let_go_has_its_slots_until_it_ends():
    made = slots(limit=2, known=("a",))
    made.inherit("a", 2)
    assert (made.take("1"), made.taken) == (None, 2)
    made.inherit("a", 1)
    assert (made.take("1"), made.take("2")) == ("a", None)
    made.set_known(())
    made.release("a", "1")
    assert list(made.instances) == ["a"], "a stream of it is left"
    made.inherit("a", 0)
    assert not made.instances
