import pytest

from hearth.autoscaler.core.windows import Window


def filled(length_s, *samples, over_s=1.0, weighted=False):
    window = Window(length_s, weighted)
    for at_s, value in samples:
        window.record(at_s, value, over_s)
    return window


def steady(until_s, value, *, step_s=0.1):
    return [(step * step_s, value) for step in range(1, round(until_s / step_s) + 1)]


@pytest.mark.parametrize(
    ("samples", "over_s", "at_s", "want"),
    [
        pytest.param([], 1, 5, 0, id="nothing"),
        pytest.param([(0.5, 4), (1, 6)], 0.5, 1, 5, id="samples-are-averaged"),
        pytest.param([(1, 4), (2, 8)], 1, 2, 6, id="seconds-are-averaged"),
        pytest.param([(1, 9)], 1, 3, 3, id="silence-counts-as-zero"),
        pytest.param([(1, 9)], 1, 30, 0, id="what-has-left-the-window-counts-no-more"),
        pytest.param([(1, 9), (100, 4)], 1, 100, 4, id="a-new-activity-starts-afresh"),
        pytest.param([(20, 5), (1, 99)], 1, 20, 5, id="an-old-sample-is-dropped"),
        pytest.param([(1, 10)], 0.1, 2, 0.909091, id="a-short-peak-is-no-long-load"),
        pytest.param(steady(30, 7), 0.1, 30, 7, id="a-steady-load-is-what-it-is"),
        pytest.param(steady(30, 7), 0.102, 30, 7, id="also-when-the-reports-come-a-bit-early"),
    ],
)
def test_average(samples, over_s, at_s, want):
    assert filled(6, *samples, over_s=over_s).average(at_s) == pytest.approx(want, abs=1e-6)


def test_one_short_request_a_second_is_a_tenth_of_a_request_in_flight():
    window = Window(60)
    for second in range(1, 120):
        window.record(second, 1, 0.1)
        window.record(second + 0.1, 0, 0.1)
    assert window.average(119.5) == pytest.approx(0.1, abs=0.01)


def test_a_long_window_takes_no_more_memory_than_a_short_one():
    window = filled(3600, *((at_s, 5) for at_s in range(7200)))
    assert window.average(7199) == 5
    assert len(window._sums) == 60
    assert window.average(7200 + 1800) == pytest.approx(2.5, abs=0.1)
    assert window.average(7200 + 3600) == 0


def test_weighted_the_newest_seconds_count_most():
    old_load = filled(60, *((at, 10 if at < 55 else 0) for at in range(1, 61)), weighted=True)
    new_load = filled(60, *((at, 10 if at >= 55 else 0) for at in range(1, 61)), weighted=True)
    assert (old_load.average(60) < 5) and (new_load.average(60) > 5)


def test_weighted_a_steady_load_is_what_it_is():
    """Knative's own example: 20 % for the newest second, and each older one less."""
    window = filled(60, *((at + 0.5, 10) for at in range(120)), weighted=True)
    assert window.average(119.99) == pytest.approx(10, abs=0.01)
