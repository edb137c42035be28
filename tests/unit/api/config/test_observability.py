"""``config-observability``: read as Knative reads it, and refused where it cannot be had."""

from __future__ import annotations

import pytest

from hearth.api.config import ObservabilityConfig, Tracing, read_observability

TRACED = {"tracing-protocol": "grpc", "tracing-endpoint": "http://collector:4317"}


def test_nothing_said_is_knatives_defaults():
    config = read_observability({})
    assert config == ObservabilityConfig()
    assert (config.request_log, config.probe_request_log, config.tracing) == (False, False, None)
    assert config.template.text.startswith('{"httpRequest"')


def test_the_log_of_requests():
    config = read_observability(
        {
            "logging.enable-request-log": "true",
            "logging.enable-probe-request-log": "true",
            "logging.request-log-template": "{{.Request.Method}}",
            "logging.revision-url-template": "http://x/?uid=${REVISION_UID}",
            "_example": "what is here is not read",
        }
    )
    assert (config.request_log, config.probe_request_log) == (True, True)
    assert config.template.text == "{{.Request.Method}}"
    assert config.log_url_template == "http://x/?uid=${REVISION_UID}"


@pytest.mark.parametrize(
    ("protocol", "endpoint", "want"),
    [
        pytest.param(
            "grpc", "http://collector:4317", ("collector", 4317, False, ""), id="grpc"
        ),
        pytest.param("grpc", "collector:4317", ("collector", 4317, True, ""), id="tls"),
        pytest.param(
            "http/protobuf", "http://c.observability:4318/v1/traces?a=b",
            ("c.observability", 4318, False, "/v1/traces?a=b"), id="http",
        ),
        pytest.param("http/protobuf", "https://c", ("c", 443, True, "/v1/traces"), id="https"),
        pytest.param("http/protobuf", "http://c", ("c", 80, False, "/v1/traces"), id="plain"),
    ],
)  # fmt: skip
def test_where_spans_are_sent(protocol, endpoint, want):
    data = {"tracing-protocol": protocol, "tracing-endpoint": endpoint}
    config = read_observability({**data, "tracing-sampling-rate": "0.25"})
    host, port, tls, path = want
    assert config.tracing == Tracing(protocol, host, port, tls, path, 0.25)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"metrics-protocol": "prometheus"}, id="metrics"),
        pytest.param({"request-metrics-protocol": "prometheus"}, id="metrics-of-requests"),
        pytest.param({"metrics-export-interval": "60s"}, id="interval"),
        pytest.param({"runtime-profiling": "disabled"}, id="profiling"),
        pytest.param({"logging.enable-var-log-collection": "false"}, id="var-log"),
        pytest.param({"tracing-protocol": "none"}, id="no-traces"),
        pytest.param({"logging.request-log-template": ""}, id="no-template-and-no-log"),
    ],
)
def test_what_changes_nothing_is_taken(data):
    assert read_observability(data).request_log is False


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(
            {"logging.enable-request-log": "true", "logging.request-log-template": ""},
            '"logging.enable-request-log" was set to true, but no', id="log-without-template",
        ),
        pytest.param(
            {"logging.enable-request-log": "yes"}, 'failed to parse "logging.enable', id="flag"
        ),
        pytest.param({"logging.request-log-template": "{{x}}"}, "cannot be had", id="template"),
        pytest.param(
            {"logging.enable-var-log-collection": "true"}, "nobody collects", id="var-log"
        ),
        pytest.param({"tracing-protocol": "zipkin"}, 'unsupported protocol "zipkin"', id="zipkin"),
        pytest.param({"tracing-protocol": "grpc"}, "endpoint should be set", id="no-endpoint"),
        pytest.param({"tracing-endpoint": "http://x"}, "should not be set", id="endpoint-of-none"),
        pytest.param({"tracing-protocol": "stdout"}, "cannot print", id="stdout"),
        pytest.param({**TRACED, "tracing-sampling-rate": "1.1"}, "between zero and one", id="rate"),
        pytest.param({**TRACED, "tracing-sampling-rate": "-1"}, "between zero", id="below-zero"),
        pytest.param({**TRACED, "tracing-sampling-rate": "x"}, "failed to parse", id="no-number"),
        pytest.param({**TRACED, "tracing-endpoint": "ftp://x"}, "expected http://", id="scheme"),
        pytest.param({**TRACED, "tracing-endpoint": "http://x:y"}, "expected http://", id="port"),
        pytest.param({"metrics-protocol": "statsd"}, 'unsupported protocol "statsd"', id="metrics"),
        pytest.param({"metrics-protocol": "grpc"}, "endpoint should be set when", id="no-where"),
        pytest.param(
            {"request-metrics-protocol": "http/protobuf", "request-metrics-endpoint": "http://x"},
            "served at /metrics", id="pushed-metrics",
        ),
        pytest.param({"metrics-endpoint": "x:1"}, "endpoint should not be set", id="for-nobody"),
        pytest.param(
            {"metrics-protocol": "prometheus", "metrics-endpoint": ":9090"}, "metrics_port",
            id="where-prometheus-finds-them",
        ),
        pytest.param({"metrics-export-interval": "-1s"}, "greater than zero", id="interval"),
        pytest.param({"runtime-profiling": "on"}, "unsupported profile setting", id="profiling"),
        pytest.param({"runtime-profiling": "enabled"}, "no profiler", id="profiler"),
    ],
)  # fmt: skip
def test_what_is_refused(data, said):
    with pytest.raises(ValueError, match=said):
        read_observability(data)
