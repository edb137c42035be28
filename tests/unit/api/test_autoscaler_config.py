import pytest

from hearth.api.config import AutoscalerConfig, read_autoscaler
from hearth.api.config.admission import validate_config_map


def test_without_data_knatives_defaults_hold():
    assert read_autoscaler({}) == AutoscalerConfig()
    assert read_autoscaler({"_example": "nonsense", "activator-capacity": "100"}) == (
        AutoscalerConfig()
    )


def test_every_key_is_read():
    found = read_autoscaler(
        {
            "pod-autoscaler-class": "hpa.autoscaling.knative.dev",
            "enable-scale-to-zero": "false", "allow-zero-initial-scale": "false",
            "max-scale-up-rate": "10", "max-scale-down-rate": "3",
            "container-concurrency-target-percentage": "50",
            "container-concurrency-target-default": "10",
            "requests-per-second-target-default": "20", "target-burst-capacity": "-1",
            "panic-window-percentage": "20", "panic-threshold-percentage": "300",
            "initial-scale": "2", "min-scale": "1", "max-scale": "5", "max-scale-limit": "7",
            "stable-window": "1m30s", "scale-down-delay": "15m",
            "scale-to-zero-grace-period": "40s", "scale-to-zero-pod-retention-period": "30h",
        }
    )  # fmt: skip
    assert found == AutoscalerConfig(
        autoscaler_class="hpa.autoscaling.knative.dev", enable_scale_to_zero=False,
        allow_zero_initial_scale=False, max_scale_up_rate=10, max_scale_down_rate=3,
        target_utilisation=0.5, target_concurrency=10, target_rps=20, target_burst_capacity=-1,
        panic_window_share=0.2, panic_threshold=3, initial_scale=2, min_scale=1, max_scale=5,
        max_scale_limit=7, stable_window_s=90, scale_down_delay_s=900, grace_period_s=40,
        retention_s=108000,
    )  # fmt: skip


def test_a_share_is_read_as_it_was_once_written():
    share = read_autoscaler({"container-concurrency-target-percentage": "0.5"})
    assert share.target_utilisation == 0.5


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"max-scale-up-rate": "1"}, "max-scale-up-rate = 1, must be greater than 1.0"),
        ({"max-scale-down-rate": "0.5"}, "max-scale-down-rate = 0.5, must be greater than 1.0"),
        ({"enable-scale-to-zero": "maybe"}, 'failed to parse "enable-scale-to-zero"'),
        ({"min-scale": "x"}, 'failed to parse "min-scale"'),
        ({"min-scale": "-1"}, "min-scale = -1, must be at least 0"),
        ({"min-scale": "3", "max-scale": "2"}, r"min-scale \(3\) must be less than max-scale \(2"),
        ({"max-scale-limit": "5"}, r"max-scale = 0, must be in \[1, max-scale-limit\(5\)\] range"),
        ({"max-scale-limit": "5", "max-scale": "6"}, "max-scale = 6, must be in"),
        ({"max-scale-limit": "-1"}, "max-scale-limit = -1, must be at least 0"),
        ({"initial-scale": "-1"}, "initial-scale = -1"),
        ({"initial-scale": "0", "allow-zero-initial-scale": "false"}, "initial-scale = 0"),
        ({"stable-window": "5s"}, "stable-window = 5s, must be in"),
        ({"stable-window": "10500ms"}, "must be specified with at most second precision"),
        ({"scale-down-delay": "-1s"}, "scale-down-delay cannot be negative"),
        ({"scale-down-delay": "1500ms"}, "at most second precision"),
        ({"scale-to-zero-pod-retention-period": "-4s"}, "cannot be negative, was: -4s"),
        ({"scale-to-zero-grace-period": "0s"}, "scale-to-zero-grace-period must be positive"),
        ({"target-burst-capacity": "-2"}, "must be either non-negative or -1"),
        ({"container-concurrency-target-percentage": "120"}, "outside of valid range"),
        ({"container-concurrency-target-default": "0.001"}, "yield target concurrency of"),
        ({"requests-per-second-target-default": "0"}, "requests-per-second-target-default must"),
        ({"panic-window-percentage": "0"}, "panic-window-percentage = 0, must be in"),
    ],
)
def test_what_is_not_allowed_is_said_in_knatives_words(data, said):
    with pytest.raises(ValueError, match=said):
        read_autoscaler(data)


@pytest.mark.parametrize(
    ("namespace", "name", "faults"),
    [("knative-serving", "config-autoscaler", 1), ("default", "config-autoscaler", 0),
     ("knative-serving", "mine", 0)],
)  # fmt: skip
def test_knatives_maps_alone_are_held_to_it(namespace, name, faults):
    wire = {"metadata": {"namespace": namespace, "name": name}, "data": {"min-scale": "x"}}
    assert len(validate_config_map(wire, None)) == faults
