import pytest

from hearth.api.config import ServingConfig, read_serving


def test_maps_that_are_missing_mean_defaults():
    assert read_serving({}) == ServingConfig()


def test_each_map_is_read():
    config = read_serving(
        {
            "config-defaults": {"revision-timeout-seconds": "10"},
            "config-features": {"multi-container": "disabled"},
            "config-autoscaler": {"min-scale": "2"},
        }
    )
    assert config.defaults.timeout_s == 10
    assert config.features.is_disabled("multi-container")
    assert config.autoscaler.min_scale == 2


def test_one_that_is_not_understood_is_refused():
    with pytest.raises(ValueError, match="container-concurrency"):
        read_serving({"config-defaults": {"container-concurrency": "-1"}})
