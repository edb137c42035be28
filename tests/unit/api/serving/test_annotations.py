import pytest

from hearth.api.config import AutoscalerConfig as Config
from hearth.api.durations import parse_duration_s
from hearth.api.serving.annotations import (
    autoscaling_annotations,
    autoscaling_faults,
)

PREFIX = "autoscaling.knative.dev/"
HPA = "hpa.autoscaling.knative.dev"
KPA = "kpa.autoscaling.knative.dev"


def said(given, rules=None):
    named = {PREFIX + name: value for name, value in given.items()}
    faults = autoscaling_faults(named, "annotations", rules or Config())
    return "\n".join(fault.message for fault in faults).replace(f"annotations.{PREFIX}", "")


#: What Knative says of the same annotations, with its paths cut short.
CASES = [
    ({"class": "unsupported.knative.dev"}, "invalid value: unsupported.knative.dev: class"),
    ({"class": "some.other.domain"}, ""),
    ({"class": HPA, "metric": "cpu"}, ""),
    ({"class": HPA, "metric": "memory"}, ""),
    ({"class": HPA, "metric": ""}, "invalid value: : metric"),
    ({"class": "other", "metric": "anything"}, ""),
    ({"metric": "cpu"}, "invalid value: cpu: metric"),
    ({"metric": "rps"}, ""),
    ({"metric": "concurrency"}, ""),
    ({"min-scale": "0", "max-scale": "0"}, ""),
    ({"min-scale": "-1"}, "expected 0 <= -1 <= 2147483647: min-scale"),
    ({"max-scale": "2147483648"}, "expected 0 <= 2147483648 <= 2147483647: max-scale"),
    ({"minScale": "foo"}, "invalid value: foo: minScale"),
    ({"min-scale": "5", "max-scale": "2"},
     "max-scale=2 is less than min-scale=5: max-scale, min-scale"),
    ({"min-scale": "2", "max-scale": "5"}, ""),
    ({"min-scale": "1", "activation-scale": "2", "max-scale": "3"}, ""),
    ({"min-scale": "3", "activation-scale": "2"},
     "min-scale=3 is greater than activation-scale=2: activation-scale"),
    ({"max-scale": "1", "activation-scale": "2"},
     "max-scale=1 is less than activation-scale=2: activation-scale"),
    ({"activation-scale": "1"}, "activation-scale=1 must be greater than 1: activation-scale"),
    ({"activation-scale": "x"}, "invalid value: x: activation-scale"),
    ({"class": KPA, "metric-aggregation-algorithm": "linear"}, ""),
    ({"class": KPA, "metric-aggregation-algorithm": "random"},
     "invalid value: random: metric-aggregation-algorithm"),
    ({"class": "of-keys", "metric-aggregation-algorithm": "random"}, ""),
    ({"panic-window-percentage": "-1"}, "expected 1 <= -1 <= 100: panic-window-percentage"),
    ({"panic-window-percentage": "fifty"}, "invalid value: fifty: panic-window-percentage"),
    ({"panic-threshold-percentage": "109"},
     "expected 110 <= 109 <= 1000: panic-threshold-percentage"),
    ({"panic-threshold-percentage": "210"}, ""),
    ({"target": "-11"}, "target -11 should be at least 0.01: target"),
    ({"target": "0"}, "target 0 should be at least 0.01: target"),
    ({"target": "100}"}, "invalid value: 100}: target"),
    ({"target": "nan"}, "invalid value: nan: target"),
    ({"target-burst-capacity": "-11"}, "invalid value: -11: target-burst-capacity"),
    ({"target-burst-capacity": "-1"}, ""),
    ({"target-burst-capacity": "19870709"}, ""),
    ({"target-utilization-percentage": "0"},
     "expected 1 <= 0 <= 100: target-utilization-percentage"),
    ({"window": "driver"}, "invalid value: driver: window"),
    ({"window": "1s"}, "expected 6s <= 1s <= 1h0m0s: window"),
    ({"window": "365h"}, "expected 6s <= 365h <= 1h0m0s: window"),
    ({"window": "1m9s82ms"}, "must be specified with at most second precision: window"),
    ({"scale-to-zero-pod-retention-period": "0"}, ""),
    ({"scale-to-zero-pod-retention-period": "72h"}, ""),
    ({"scale-to-zero-pod-retention-period": "two"},
     "invalid value: two: scale-to-zero-pod-retention-period"),
    ({"scale-down-delay": "21m31s"}, ""),
    ({"scale-down-delay": "311m"}, "expected 0s <= 311m <= 1h0m0s: scale-down-delay"),
    ({"scale-down-delay": "-42s"}, "expected 0s <= -42s <= 1h0m0s: scale-down-delay"),
    ({"scale-down-delay": "42.5s"},
     "must be specified with at most second precision: scale-down-delay"),
    ({"initial-scale": "2"}, ""),
    ({"initial-scale": "0"}, ""),
    ({"initial-scale": "-1"}, "invalid value: -1: initial-scale must be greater than 0"),
    ({"initial-scale": "invalid"}, "invalid value: invalid: initial-scale"),
    ({"panic-threshold-percentage": "fifty", "min-scale": "-4", "max-scale": "never"},
     "expected 0 <= -4 <= 2147483647: min-scale\ninvalid value: never: max-scale\n"
     "invalid value: fifty: panic-threshold-percentage"),
    ({"somebody-elses": "1"}, ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "want"), [pytest.param(*case, id=f"{case[0]}") for case in CASES]
)
def test_faults_are_told_in_knatives_words(given, want):
    assert said(given) == want


@pytest.mark.parametrize(
    ("rules", "given", "want"),
    [
        pytest.param(Config(allow_zero_initial_scale=False), {"initial-scale": "0"},
                     "invalid value: 0: initial-scale=0 not allowed by cluster", id="no-zero"),
        pytest.param(Config(max_scale_limit=10), {"max-scale": "11"},
                     "expected 1 <= 11 <= 10: max-scale", id="above-the-limit"),
        pytest.param(Config(max_scale_limit=10), {"max-scale": "0"},
                     "max-scale=0 (unlimited), must be less than 10: max-scale", id="no-maximum"),
        pytest.param(Config(max_scale_limit=10), {"max-scale": "9"}, "", id="below-it"),
        pytest.param(Config(max_scale_limit=10), {}, "", id="the-default-is-the-clusters"),
        pytest.param(Config(autoscaler_class=HPA), {"metric": "cpu"}, "", id="other-class"),
    ],
)  # fmt: skip
def test_the_cluster_has_a_say(rules, given, want):
    assert said(given, rules) == want


def test_of_two_spellings_the_newer_counts():
    given = {PREFIX + "minScale": "1", PREFIX + "min-scale": "2", PREFIX + "maxScale": "3"}
    assert autoscaling_annotations(given) == {"min-scale": "2", "max-scale": "3"}


def test_a_path_names_the_annotation_as_it_was_written():
    [fault] = autoscaling_faults(
        {PREFIX + "minScale": "x"}, "spec.template.metadata.annotations", Config()
    )
    path = "spec.template.metadata.annotations.autoscaling.knative.dev/minScale"
    assert (fault.field, fault.message) == (path, f"invalid value: x: {path}")


@pytest.mark.parametrize(
    ("text", "want"), [("1m30s", 90), ("0", 0), ("1.5h", 5400), ("90ms", 0.09)]
)
def test_durations_are_gos(text, want):
    assert parse_duration_s(text) == pytest.approx(want)
