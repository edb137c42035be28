"""A container's standing follows its thresholds, as kubelet counts them."""

from __future__ import annotations

import pytest

from hearth.node.core.probing import Verdict, grace_s, period_s


@pytest.mark.parametrize(
    ("probe", "results", "want"),
    [
        pytest.param({}, "+", [True], id="one-success"),
        pytest.param({}, "--", [None, None], id="not-enough-failures"),
        pytest.param({}, "---", [None, None, False], id="three-failures"),
        pytest.param({"failureThreshold": 1}, "-", [False], id="one-failure-may-do"),
        pytest.param({}, "+--+--", [True] * 6, id="in-a-row"),
        pytest.param({}, "+---+", [True, True, True, False, True], id="there-and-back"),
        pytest.param({"successThreshold": 2}, "+-++", [None, None, None, True], id="successes"),
        pytest.param({"successThreshold": 0, "failureThreshold": 0}, "+---",
                     [True, True, True, False], id="zero-is-not-said"),
    ],
)  # fmt: skip
def test_standing(probe, results, want):
    verdict, found, changes = Verdict.of(probe), [], []
    for result in results:
        changes.append(verdict.note(result == "+"))
        found.append(verdict.good)
    assert found == want
    assert changes == [a is not b for a, b in zip(found, [None, *found[:-1]], strict=True)]


def test_periods_and_graces_have_kubernetes_defaults():
    assert (period_s({}), period_s({"periodSeconds": 0}), period_s({"periodSeconds": 3})) == (
        10, 10, 3,
    )  # fmt: skip
    assert grace_s({}, {}) == 30
    assert grace_s({}, {"terminationGracePeriodSeconds": 0}) == 0
    assert grace_s({"terminationGracePeriodSeconds": 5}, {}) == 5
