"""Templates as Envoy's formats, and the lines that come of them."""

from __future__ import annotations

import pytest

from hearth.api.config.request_log import DEFAULT_TEMPLATE, FIELDS, parse_request_log
from hearth.gateway.core.request_log import Entry, filled, make_format, whose

HEAD = (
    "%START_TIME(%Y-%m-%dT%H:%M:%S.%6fZ)% %UPSTREAM_HOST% "
    "%REQ(HEARTH-TENANT)%/%REQ(KNATIVE-SERVING-NAMESPACE)%/%REQ(KNATIVE-SERVING-REVISION)%"
)
TEXT = "%REQ(HEARTH-RETRY)%"  #: never there: makes a text of what would be a number


def text_of(template, **options):
    made = make_format(parse_request_log(template), **options)
    assert made["omit_empty_values"] is True
    return made["text_format_source"]["inline_string"]


def json_of(template, **options):
    made = make_format(parse_request_log(template), **options)["json_format"]
    assert made.pop("!") == HEAD
    return made


@pytest.mark.parametrize(
    ("template", "envoy"),
    [
        pytest.param("{{.Request.Method}}", "%REQ(:METHOD)%", id="method"),
        pytest.param("{{.Request.Proto}}", "%PROTOCOL%", id="protocol"),
        pytest.param("{{.Request.Host}}", "%REQ(:AUTHORITY)%", id="host"),
        pytest.param("{{.Request.RequestURI}}", "%REQ(:PATH)%", id="uri"),
        pytest.param("{{.Request.URL}}", "%REQ(:PATH)%", id="url"),
        pytest.param("{{.Request.URL.Path}}", "%PATH(NQ)%", id="path"),
        pytest.param("{{.Request.ContentLength}}", "%CEL(request.size)%", id="request-size"),
        pytest.param("{{.Request.RemoteAddr}}", "%DOWNSTREAM_REMOTE_ADDRESS%", id="client"),
        pytest.param("{{.Request.UserAgent}}", "%REQ(USER-AGENT)%", id="user-agent"),
        pytest.param("{{.Request.Referer}}", "%REQ(REFERER)%", id="referer"),
        pytest.param('{{.Request.Header.Get "X-a"}}', "%REQ(X-A)%", id="header"),
        pytest.param("{{.Response.Code}}", "%RESPONSE_CODE%", id="status"),
        pytest.param("{{.Response.Size}}", "%BYTES_RECEIVED%", id="response-size"),
        pytest.param(
            "{{.Response.Latency}}s", "0%COMMON_DURATION(US_TX_BEG:US_RX_END:us)%e-06s",
            id="latency",
        ),
        pytest.param("{{.Revision.Name}}", "%REQ(KNATIVE-SERVING-REVISION)%", id="revision"),
        pytest.param("{{.Revision.Namespace}}", "%REQ(KNATIVE-SERVING-NAMESPACE)%", id="namespace"),
        pytest.param("{{.Revision.PodIP}}", "%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", id="pod-ip"),
        pytest.param("{{ .Revision.PodName }}", "{{.Revision.PodName}}", id="filled-in-later"),
        pytest.param("100% of {{.Request.Method}}", "100%% of %REQ(:METHOD)%", id="percent-sign"),
    ],
)  # fmt: skip
def test_each_field_has_its_operator(template, envoy):
    assert text_of(template) == f"{HEAD} {envoy}\n"


def test_the_trace_id_is_that_of_the_traceparent_header():
    assert "request.headers['traceparent']" in text_of("{{.TraceID}}")
    assert "x-b3-traceid" in text_of("{{.TraceID}}")


def test_behind_the_cold_listener_the_client_is_whom_the_edge_has_noted():
    made = text_of("{{.Request.RemoteAddr}}", cold=True)
    assert "x-forwarded-for" in made
    assert "DOWNSTREAM_REMOTE_ADDRESS" not in made


def test_in_json_what_is_in_quotes_is_text_and_a_bare_number_is_one():
    made = json_of(
        '{"t": "{{.Response.Code}}", "n": {{.Response.Code}}, "s": "x {{.Request.Host}}", '
        '"l": [{"d": {{.Response.Latency}}, "k": "100%"}], "c": 5, "m": {{.Request.Method}}}'
    )
    assert made["t"] == f"{TEXT}%RESPONSE_CODE%"
    assert made["n"] == "%RESPONSE_CODE%"
    assert made["s"] == f"{TEXT}x %REQ(:AUTHORITY)%"
    assert made["l"][0]["d"].startswith("%TYPED_CEL(")
    assert made["l"][0]["k"] == f"{TEXT}100%%"
    assert (made["c"], made["m"]) == (5, f"{TEXT}%REQ(:METHOD)%")


@pytest.mark.parametrize("cold", [False, True])
def test_every_field_can_be_expressed_in_both_forms(cold):
    for name in FIELDS - {"Request.Header"}:
        assert text_of(f"{{{{.{name}}}}}", cold=cold)
        assert json_of(f'{{"a": {{{{.{name}}}}}, "b": "{{{{.{name}}}}}"}}', cold=cold)
    assert set(json_of(DEFAULT_TEMPLATE, cold=cold)) == {"httpRequest", "traceId"}


AT, WHOSE = b"2026-11-25T17:43:55.083135Z", b"10.0.0.2:8080 root/default/hello-00001"


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        pytest.param(b'{"!":"%s %s","a":1}' % (AT, WHOSE), Entry(AT, WHOSE, b'{"a":1}'), id="json"),
        pytest.param(b'{"!":"%s %s"}' % (AT, WHOSE), Entry(AT, WHOSE, b"{}"), id="empty-json"),
        pytest.param(b"%s %s GET / 1" % (AT, WHOSE), Entry(AT, WHOSE, b"GET / 1"), id="text"),
        pytest.param(b"%s %s " % (AT, WHOSE), Entry(AT, WHOSE, b""), id="no-text"),
        pytest.param(b"something else", None, id="another-line"),
        pytest.param(b"", None, id="nothing"),
    ],
)
def test_a_line_is_read_as_it_was_written(line, entry):
    assert Entry.of(line) == entry


def test_whose_a_line_is_as_envoy_writes_it():
    assert whose("10.0.0.2:8080", "root/default/hello-00001") == WHOSE


def test_what_readers_know_is_filled_in():
    values = {
        "Revision.PodName": "p-1",
        "Revision.Service": "hello",
        "Revision.Configuration": "conf",
    }
    line = b"{{.Revision.PodName}} {{.Revision.Service}} {{.Revision.Configuration}} {{.Other}}"
    assert filled(line, values) == b"p-1 hello conf {{.Other}}"
    assert filled(b"nothing to fill in", {}) == b"nothing to fill in"
