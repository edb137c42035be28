import pytest

from hearth.autoscaler.core.windows import Window


def filled(length_s, *samples):
    window = Window(length_s)
    for at_s, value in samples:
        window.record(at_s, value)
    return window


@pytest.mark.parametrize(
    ("samples", "at_s", "want"),
    [
        pytest.param([], 5, 0, id="nothing"),
        pytest.param([(0.1, 4), (0.2, 6)], 0.5, 5, id="samples-of-a-second-are-averaged"),
        pytest.param([(0, 4), (1, 8)], 1.5, 6, id="seconds-are-averaged"),
        pytest.param([(0, 9)], 2.5, 3, id="silence-counts-as-zero"),
        pytest.param([(0, 9)], 30, 0, id="what-has-left-the-window-counts-no-more"),
        pytest.param([(0, 9), (100, 4)], 100, 4, id="a-new-activity-starts-afresh"),
        pytest.param([(20, 5), (1, 99)], 20, 5, id="an-old-sample-is-dropped"),
    ],
)
def test_average(samples, at_s, want):
    assert filled(6, *samples).average(at_s) == want


def test_a_long_window_takes_no_more_memory_than_a_short_one():
    window = filled(3600, *((at_s, 5) for at_s in range(7200)))
    assert window.average(7199) == 5
    assert len(window._sums) == len(filled(60)._sums)
    assert window.average(7200 + 1800) == pytest.approx(2.5, abs=0.1)
    assert window.average(7200 + 3600) == 0
