import pytest

from hearth.api.config import DefaultsConfig, read_defaults
from hearth.api.config.defaults import name_from


def test_without_data_knatives_defaults_hold():
    assert read_defaults({}) == read_defaults({"_example": "nonsense", "x": "y"})
    config = read_defaults({})
    assert (config.timeout_s, config.timeout_max_s, config.response_start_timeout_s) == (
        300, 600, 300,
    )  # fmt: skip
    assert (config.concurrency, config.concurrency_max, config.allow_concurrency_zero) == (
        0, 1000, True,
    )  # fmt: skip
    assert config.service_links is False
    assert config.resources == {}


def test_every_key_is_read():
    config = read_defaults(
        {
            "revision-timeout-seconds": "100", "max-revision-timeout-seconds": "900",
            "revision-response-start-timeout-seconds": "50", "revision-idle-timeout-seconds": "20",
            "container-concurrency": "10", "container-concurrency-max-limit": "2000",
            "allow-container-concurrency-zero": "false", "enable-service-links": "True",
            "container-name-template": "{{.Name}}-app",
            "init-container-name-template": '{{ index .Labels "who" }}',
            "revision-cpu-request": "100m", "revision-cpu-limit": "2",
            "revision-memory-request": "64Mi", "revision-memory-limit": "1Gi",
            "revision-ephemeral-storage-request": "1M", "revision-ephemeral-storage-limit": "2M",
        }
    )  # fmt: skip
    assert config == DefaultsConfig(
        timeout_s=100, timeout_max_s=900, response_start_timeout_s=50, idle_timeout_s=20,
        concurrency=10, concurrency_max=2000, allow_concurrency_zero=False, service_links=True,
        container_name=config.container_name, init_container_name=config.init_container_name,
        resources={
            ("cpu", "requests"): "100m", ("cpu", "limits"): "2",
            ("memory", "requests"): "64Mi", ("memory", "limits"): "1Gi",
            ("ephemeral-storage", "requests"): "1M", ("ephemeral-storage", "limits"): "2M",
        },
    )  # fmt: skip
    parent = {"metadata": {"name": "hello", "labels": {"who": "me"}}}
    assert name_from(config.container_name, parent) == "hello-app"
    assert name_from(config.init_container_name, parent) == "me"


def test_the_start_of_an_answer_may_take_as_long_as_the_answer_unless_it_is_said():
    assert read_defaults({"revision-timeout-seconds": "123"}).response_start_timeout_s == 123


def test_service_links_have_three_states():
    found = [read_defaults({"enable-service-links": text}).service_links
             for text in ("true", "FALSE", "default", "")]  # fmt: skip
    assert found == [True, False, None, None]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"revision-timeout-seconds": "x"}, 'failed to parse "revision-timeout-seconds"'),
        ({"revision-timeout-seconds": "601"},
         r"revision-timeout-seconds \(601\) cannot be greater than max-revision-timeout-seconds "
         r"\(600\)"),
        ({"revision-response-start-timeout-seconds": "301"},
         r"revision-response-start-timeout-seconds \(301\) cannot be greater than "
         r"revision-timeout-seconds \(300\)"),
        ({"revision-idle-timeout-seconds": "301"},
         r"revision-idle-timeout-seconds \(301\) cannot be greater than revision-timeout-seconds"),
        ({"container-concurrency": "1001"}, "expected 0 <= 1001 <= 1000: container-concurrency"),
        ({"container-concurrency": "-1"}, "expected 0 <= -1 <= 1000: container-concurrency"),
        ({"container-concurrency-max-limit": "0"},
         "expected 1 <= 0 <= 2147483647: container-concurrency-max-limit"),
        ({"allow-container-concurrency-zero": "maybe"}, "allow-container-concurrency-zero"),
        ({"revision-cpu-request": "much"}, 'failed to parse "revision-cpu-request"'),
        ({"container-name-template": "{{.Nope}}"}, 'failed to parse "container-name-template"'),
        ({"init-container-name-template": "{{.Name"}, "init-container-name-template"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_in_knatives_words(data, said):
    with pytest.raises(ValueError, match=said):
        read_defaults(data)
