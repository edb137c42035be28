import pytest

from hearth.api.config import AutoscalerConfig
from hearth.autoscaler.core.spec import decider_spec


def revision(spec=None, labels=None, **annotations):
    named = {f"autoscaling.knative.dev/{k.replace('_', '-')}": v for k, v in annotations.items()}
    return {"metadata": {"annotations": named, "labels": labels or {}}, "spec": spec or {}}


@pytest.mark.parametrize(
    ("wire", "target"),
    [
        pytest.param(revision(), 70, id="default-100-at-70-percent"),
        pytest.param(revision({"containerConcurrency": 10}), 7, id="hard-limit"),
        pytest.param(revision(target="20"), 14, id="annotation"),
        pytest.param(revision({"containerConcurrency": 10}, target="20"), 7, id="limit-caps-it"),
        pytest.param(
            revision(target="10", target_utilization_percentage="50"), 5, id="utilisation"
        ),
    ],
)
def test_target(wire, target):
    assert decider_spec(wire).target == pytest.approx(target)


def test_knatives_defaults():
    spec = decider_spec(revision())
    assert (spec.min_scale, spec.max_scale, spec.initial_scale) == (0, 0, 1)
    assert (spec.stable_window_s, spec.panic_window_s, spec.panic_threshold) == (60, 6, 2)


def test_both_spellings_and_durations_are_read():
    spec = decider_spec(revision(minScale="2", window="2m", scale_down_delay="1m30s"))
    assert (spec.min_scale, spec.stable_window_s, spec.scale_down_delay_s) == (2, 120, 90)


@pytest.mark.parametrize(("state", "reachable"), [("active", True), ("reserve", False)])
def test_a_revision_without_traffic_is_not_reachable(state, reachable):
    labels = {"serving.knative.dev/routingState": state}
    assert decider_spec(revision(labels=labels)).reachable is reachable


def test_what_cannot_be_read_is_knatives_default():
    broken = {
        "min_scale": "many", "max_scale": "", "window": "soon", "target": "x",
        "panic_threshold_percentage": "?", "scale_down_delay": "-", "activation_scale": "0",
    }  # fmt: skip
    assert decider_spec(revision(**broken)) == decider_spec(revision())


def test_the_window_is_never_too_short_for_samples():
    spec = decider_spec(revision(window="1s"))
    assert (spec.stable_window_s, spec.panic_window_s) == (6, 1)


def test_the_progress_deadline_is_read():
    wire = revision()
    assert decider_spec(wire).progress_deadline_s == 600
    wire["metadata"]["annotations"]["serving.knative.dev/progress-deadline"] = "2m"
    assert decider_spec(wire).progress_deadline_s == 120


@pytest.mark.parametrize(
    ("wire", "target", "total"),
    [
        pytest.param(revision(metric="rps"), 140, 200, id="default-200-at-70-percent"),
        pytest.param(revision(metric="rps", target="10"), 7, 10, id="annotation"),
        pytest.param(revision({"containerConcurrency": 5}, metric="rps", target="10"), 7, 10,
                     id="the-hard-limit-is-of-another-metric"),
        pytest.param(revision(metric="rps", target="10", target_utilization_percentage="100"),
                     10, 10, id="utilisation"),
    ],
)  # fmt: skip
def test_requests_per_second(wire, target, total):
    spec = decider_spec(wire)
    assert (spec.target, spec.total, spec.metric) == (pytest.approx(target), total, "rps")


def test_the_clusters_defaults_hold_where_the_revision_says_nothing():
    base = AutoscalerConfig(
        target_concurrency=10, target_utilisation=1, min_scale=1, max_scale=9, initial_scale=2,
        scale_down_delay_s=30, retention_s=40, enable_scale_to_zero=False, stable_window_s=30,
        target_burst_capacity=0,
    )  # fmt: skip
    spec = decider_spec(revision(), base)
    assert (spec.target, spec.min_scale, spec.max_scale, spec.initial_scale) == (10, 1, 9, 2)
    assert (spec.scale_down_delay_s, spec.retention_s, spec.scale_to_zero) == (30, 40, False)
    assert (spec.panic_window_s, spec.target_burst_capacity) == (3, 0)
    own = decider_spec(revision(min_scale="0", max_scale="0", target_burst_capacity="-1"), base)
    assert (own.min_scale, own.max_scale, own.target_burst_capacity) == (0, 0, -1)


def test_a_first_scale_of_zero_is_the_clusters_where_that_is_not_allowed():
    base = AutoscalerConfig(allow_zero_initial_scale=False, initial_scale=3)
    assert decider_spec(revision(initial_scale="0"), base).initial_scale == 3
    assert decider_spec(revision(initial_scale="0")).initial_scale == 0


def test_the_class_is_read():
    hpa = decider_spec(revision(**{"class": "hpa.autoscaling.knative.dev"}))
    assert (hpa.is_hpa, hpa.is_kpa, hpa.metric) == (True, False, "cpu")
    assert decider_spec(revision()).is_kpa


def test_newer_seconds_count_more_on_demand():
    asked = revision(metric_aggregation_algorithm="weighted-exponential")
    assert decider_spec(asked).weighted and not decider_spec(revision()).weighted
