"""What is said of cold starts."""

from __future__ import annotations

import pytest

from hearth.cli.core.cold_starts import summary


@pytest.mark.parametrize(
    ("taken_ms", "said"),
    [
        pytest.param([], "", id="none"),
        pytest.param([7], "p50 7 ms, p99 7 ms, the last 1", id="one"),
        pytest.param([9, 1, 5], "p50 5 ms, p99 9 ms, the last 3", id="in-any-order"),
        pytest.param(range(1, 201), "p50 100 ms, p99 198 ms, the last 200", id="many"),
    ],
)
def test_summary(taken_ms, said):
    assert summary(taken_ms) == said
