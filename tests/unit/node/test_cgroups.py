"""What a container's resources mean for its cgroups."""

from __future__ import annotations

import pytest

from hearth.node.cgroups import Limits


@pytest.mark.parametrize(
    ("resources", "shares", "weight"),
    [
        pytest.param({}, 2, 1, id="nothing-said"),
        pytest.param({"requests": {"cpu": "125m"}}, 128, 5, id="requested"),
        pytest.param({"limits": {"cpu": "2"}}, 2048, 79, id="a-limit-is-a-request-too"),
        pytest.param({"requests": {"cpu": "1m"}}, 2, 1, id="at-least"),
        pytest.param({"requests": {"cpu": "1k"}}, 262_144, 10_000, id="at-most"),
    ],
)
def test_a_pods_weight_is_what_kubelet_gives_it(resources, shares, weight):
    limits = Limits.of(resources, pids=10)
    assert (limits.cpu_shares, limits.cpu_weight) == (shares, weight)
