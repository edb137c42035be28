"""How long each phase of a cold start took."""

from __future__ import annotations

import pytest

from hearth.gateway.core.cold_starts import PHASES, durations


@pytest.mark.parametrize(
    ("answered_s", "phases_s", "want"),
    [
        pytest.param(
            0.020,
            {"claimed": 0.001, "injected": 0.004, "listening": 0.015},
            {"held": 0.005, "claimed": 0.001, "injected": 0.003, "listening": 0.011},
            id="each-phase-is-the-time-since-the-one-before",
        ),
        pytest.param(0.5, {}, {"held": 0.5}, id="nothing-told-is-all-held"),
        pytest.param(
            0.010,
            {"claimed": 0.001, "listening": 0.015},
            {"held": 0.0, "claimed": 0.001, "listening": 0.014},
            id="a-claim-that-began-before-the-request-came",
        ),
        pytest.param(
            1.0,
            {"claimed": 0.1, "imported": 0.5, "injected": 0.2, "listening": 0.9},
            {"held": 0.1, "claimed": 0.1, "injected": 0.1, "listening": 0.7},
            id="other-names-are-left-out",
        ),
    ],
)
def test_durations(answered_s, phases_s, want):
    assert durations(answered_s, phases_s) == pytest.approx(want)


def test_every_phase_has_a_name_that_the_figures_know():
    assert set(durations(1, dict.fromkeys(PHASES, 0.1))) <= set(PHASES)
