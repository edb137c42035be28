import random

import pytest

from hearth.controllers.core.conditions import Conditions, ConditionSet, batch, living

KINDS = living("A", "B")
THEN, NOW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def wire(*conditions, generation=1, observed=1):
    return {
        "metadata": {"generation": generation},
        "status": {"observedGeneration": observed, "conditions": list(conditions)},
    }


def condition(kind, status, reason="", at=THEN):
    one = {"type": kind, "status": status, "lastTransitionTime": at}
    return one | ({"reason": reason} if reason else {})


def brief(conditions):
    return {one["type"]: (one["status"], one.get("reason", "")) for one in conditions.to_wire()}


def test_living_things_are_ready_and_batches_succeed():
    assert (living("A"), batch("A")) == (
        ConditionSet("Ready", ("A",)),
        ConditionSet("Succeeded", ("A",)),
    )


def test_what_is_unset_becomes_unknown():
    assert brief(Conditions(KINDS, wire(), NOW)) == {
        "A": ("Unknown", ""),
        "B": ("Unknown", ""),
        "Ready": ("Unknown", ""),
    }


def test_a_dependent_that_is_new_to_a_happy_object_is_true():
    conditions = Conditions(KINDS, wire(condition("Ready", "True")), NOW)
    assert conditions.is_true("A") and conditions.is_true("B")


def test_a_new_generation_takes_back_the_happy_condition_until_something_is_marked():
    seen = wire(*(condition(kind, "True") for kind in ("A", "B", "Ready")), observed=0)
    conditions = Conditions(KINDS, seen, NOW)
    assert brief(conditions)["Ready"] == ("Unknown", "NewObservedGenFailure")
    conditions.mark_true("A")
    assert conditions.is_true("Ready")


@pytest.mark.parametrize(
    ("marks", "want"),
    [
        pytest.param([("A", "True"), ("B", "True")], ("True", ""), id="all-true"),
        pytest.param([("A", "True")], ("Unknown", ""), id="one-not-known"),
        pytest.param([("A", "False"), ("B", "True")], ("False", "A-False"), id="one-false"),
        pytest.param([("A", "False"), ("B", "Unknown")], ("False", "A-False"), id="false-wins"),
        pytest.param([("A", "Unknown"), ("B", "False")], ("False", "B-False"), id="in-any-order"),
        pytest.param([("A", "Unknown"), ("B", "True")], ("Unknown", "A-Unknown"), id="unknown"),
        pytest.param([("A", "False"), ("B", "False")], ("False", "A-False"), id="causes-first"),
        pytest.param([("B", "Unknown")], ("Unknown", "B-Unknown"), id="who-gives-a-reason"),
        pytest.param(
            [("A", "False"), ("A", "True"), ("B", "True")], ("True", ""), id="it-got-better"
        ),
        pytest.param([("C", "False")], ("Unknown", ""), id="others-only-inform"),
        pytest.param([("C", "Unknown")], ("Unknown", ""), id="nor-when-unknown"),
    ],
)
def test_the_happy_condition_sums_up_its_dependents(marks, want):
    conditions = Conditions(KINDS, wire(), NOW)
    for kind, status in marks:
        reason = "" if status == "True" else f"{kind}-{status}"
        conditions.copy(kind, {"status": status, "reason": reason})
    assert brief(conditions)["Ready"] == want


def test_the_happy_condition_alone_can_be_marked_true():
    conditions = Conditions(living(), wire(), NOW)
    conditions.mark_true("Ready", "Done", "as told")
    [ready] = conditions.to_wire()
    assert ready == {
        "type": "Ready", "status": "True", "reason": "Done", "message": "as told",
        "lastTransitionTime": NOW,
    }  # fmt: skip


def test_only_what_changed_gets_a_new_time_and_what_informs_says_so():
    seen = wire(condition("A", "True"), condition("B", "Unknown", "Waiting"))
    conditions = Conditions(KINDS, seen, NOW)
    conditions.mark_true("A")
    conditions.mark_unknown("B", "Elsewhere", "")
    conditions.mark_false("Active", "NoTraffic", "idle")
    by_type = {one["type"]: one for one in conditions.to_wire()}
    assert by_type["A"]["lastTransitionTime"] == THEN
    assert by_type["B"]["lastTransitionTime"] == NOW
    assert by_type["Active"]["severity"] == "Info"
    assert list(by_type) == sorted(by_type)


def test_what_changed_and_changed_back_keeps_its_time():
    seen = wire(condition("A", "True"), condition("B", "True"), condition("Ready", "True"))
    conditions = Conditions(KINDS, seen, NOW)
    conditions.mark_false("A", "Bad", "")
    conditions.mark_true("A")
    assert conditions.to_wire() == seen["status"]["conditions"]


def test_copying_nothing_changes_nothing():
    conditions = Conditions(KINDS, wire(condition("A", "True")), NOW)
    conditions.copy("A", None)
    assert conditions.is_true("A") and conditions.is_unknown("gone")
    assert conditions.get("gone") is None and not conditions.is_false("A")


def test_in_any_order_of_marks_ready_is_never_better_than_its_dependents():
    rank = {"False": 0, "Unknown": 1, "True": 2}
    for seed in range(200):
        order = random.Random(seed)
        conditions = Conditions(KINDS, wire(), NOW)
        for _ in range(12):
            kind, status = order.choice("ABC"), order.choice(list(rank))
            conditions.copy(kind, {"status": status, "reason": "R", "message": "m"})
            now = {k: rank[status] for k, (status, _) in brief(conditions).items()}
            assert now["Ready"] == min(now["A"], now["B"]), (seed, now)
