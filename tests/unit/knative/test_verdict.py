"""A run of Knative's suites fails by what came differently than expected, either way."""

from __future__ import annotations

import json

import pytest

from tests.knative.verdict import (
    FAILED,
    PASSED,
    SKIPPED,
    Outcome,
    judge,
    outcomes_of,
    read_expected,
)
from tests.knative.writing import table

SUITES = ("api", "e2e")


def lines(*events):
    return [
        json.dumps({"Action": action, "Test": test, **({"Output": said} if said else {})})
        for action, test, said in events
    ]


def outcomes(*events):
    return {one.test: one.outcome for one in outcomes_of(lines(*events))}


def entries(**tests):
    text = "[api]\n" + "".join(f"{json.dumps(t)} = {json.dumps(w)}\n" for t, w in tests.items())
    return read_expected(text, SUITES)


def test_an_entry_may_hold_for_machines_without_the_internet_alone():
    [always, offline] = read_expected('[api]\nTestA = "why"\nTestB = { offline = "why" }', SUITES)
    assert (always.offline, offline.offline, offline.why) == (False, True, "why")


def test_what_a_test_said_last_is_cut_in_the_middle():
    logged = "    a_test.go:1: first\n    helper.go:12: " + "a" * 200 + "b" * 200 + "\n"
    said = Outcome("TestA", FAILED, output=logged).said
    assert said == "a" * 150 + " … " + "b" * 150


def test_tests_count_by_their_leaves():
    found = outcomes(
        ("run", "TestA", ""), ("run", "TestA/x", ""), ("pass", "TestA/x", ""),
        ("run", "TestA/y", ""), ("fail", "TestA/y", ""), ("fail", "TestA", ""),
        ("run", "TestB", ""), ("skip", "TestB", ""),
    )  # fmt: skip
    assert found == {"TestA/x": PASSED, "TestA/y": FAILED, "TestB": SKIPPED}


def test_a_parent_that_fails_by_itself_is_a_failure():
    found = outcomes(
        ("run", "TestA", ""), ("run", "TestA/x", ""), ("pass", "TestA/x", ""), ("fail", "TestA", "")
    )
    assert found == {"TestA/x": PASSED, "TestA": FAILED}


def test_what_never_ended_failed():
    assert outcomes(("run", "TestA", ""), ("output", "TestA", "panic: test timed out")) == {
        "TestA": FAILED
    }


@pytest.mark.parametrize(
    ("came", "expects", "holds"),
    [
        pytest.param(PASSED, {}, True, id="passed"),
        pytest.param(SKIPPED, {}, True, id="skipped"),
        pytest.param(FAILED, {}, False, id="failed"),
        pytest.param(FAILED, {"TestA": "not built"}, True, id="failed as expected"),
        pytest.param(PASSED, {"TestA": "not built"}, False, id="repaired"),
        pytest.param(FAILED, {"Test": "another"}, False, id="a name that only begins alike"),
    ],
)
def test_what_makes_a_suite_hold(came, expects, holds):
    assert judge("api", [Outcome("TestA", came)], entries(**expects)).holds is holds


def test_an_entry_speaks_for_its_subtests():
    found = [Outcome("TestA/x", FAILED), Outcome("TestA/y", PASSED)]
    verdict = judge("api", found, entries(TestA="why"))
    assert verdict.holds
    assert verdict.expected == {"TestA/x": "why"}


def test_a_part_of_a_suite_is_not_held_to_the_rest():
    found = [Outcome("TestA", PASSED)]
    assert judge("api", found, entries(TestB="why"), whole=False).holds
    assert not judge("api", found, entries(TestB="why")).holds


def test_a_suite_in_which_nothing_ran_does_not_hold():
    assert not judge("api", [], []).holds


@pytest.mark.parametrize("text", ['[what]\nTestA = "x"\n', '[api]\nTestA = " "\n'])
def test_expectations_name_known_suites_and_give_reasons(text):
    with pytest.raises(ValueError, match=r"what|TestA"):
        read_expected(text, SUITES)


def test_the_table_says_why():
    said = "    a_test.go:12: no colour: found red | blue\n"
    found = [Outcome("TestA", FAILED, output=said), Outcome("TestB", FAILED)]
    text = table([judge("api", found, entries(TestB="not built"))])
    assert "| api | 0 | 2 | 1 | 0 |" in text
    assert "| api: TestA | failed | no colour: found red \\| blue |" in text
    assert "| api: TestB | failed, as expected | not built |" in text
