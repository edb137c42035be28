"""``config-observability``: the log of requests, traces, and what Knative has of metrics.

Source: knative/serving pkg/observability/config.go and knative.dev/pkg observability. What is asked
for and not there is refused: metrics that are pushed (``/metrics`` is always served, see
docs/observability.md), profiling, spans on standard output, and a collector for ``/var/log``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from hearth.api.config.parsing import duration, flag
from hearth.api.config.request_log import (
    DEFAULT_TEMPLATE,
    RequestLogTemplate,
    parse_request_log,
)

GRPC, HTTP_PROTOBUF, NONE, PROMETHEUS, STDOUT = (
    "grpc", "http/protobuf", "none", "prometheus", "stdout",
)  # fmt: skip

_DEFAULT = parse_request_log(DEFAULT_TEMPLATE)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tracing:
    """Where spans are sent."""

    protocol: str  #: ``grpc`` or ``http/protobuf``
    host: str
    port: int
    tls: bool
    path: str  #: of the URL; empty with ``grpc``
    sampling_rate: float  #: share of requests that begin a trace, 0–1

    @property
    def url(self) -> str:
        """Of the collector."""
        scheme = "https" if self.tls else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}{self.path}"


@dataclass(frozen=True, slots=True)
class ObservabilityConfig:
    """What ``config-observability`` says; the defaults are Knative's."""

    request_log: bool = False
    probe_request_log: bool = False  #: and ``request_log``: probes are logged too
    template: RequestLogTemplate = _DEFAULT
    tracing: Tracing | None = None
    log_url_template: str = ""  #: of a revision's ``status.logUrl``; has ``${REVISION_UID}``


def read_observability(data: Mapping[str, str]) -> ObservabilityConfig:
    """The data of ``config-observability``.

    Raises:
        ValueError: a key has a value that is not understood or cannot be had.
    """
    request_log = _parsed(data, "logging.enable-request-log", flag, False)
    text = data.get("logging.request-log-template", DEFAULT_TEMPLATE)
    if not text and request_log:
        raise ValueError(
            '"logging.enable-request-log" was set to true, but no "logging.request-log-template" '
            "was specified"
        )
    template = _parsed(data, "logging.request-log-template", parse_request_log, _DEFAULT)
    if _parsed(data, "logging.enable-var-log-collection", flag, False):
        raise ValueError(
            "logging.enable-var-log-collection: found true, expected false: nobody collects what "
            "apps write below /var/log; what they print is kept"
        )
    _check_profiling(data)
    for prefix in ("", "request-"):
        _check_metrics(data, prefix)
    return ObservabilityConfig(
        request_log=request_log,
        probe_request_log=_parsed(data, "logging.enable-probe-request-log", flag, False),
        template=template,
        tracing=_tracing(data),
        log_url_template=data.get("logging.revision-url-template", ""),
    )


def _check_profiling(data: Mapping[str, str]) -> None:
    profiling = data.get("runtime-profiling", "disabled")
    if profiling not in ("enabled", "disabled"):
        raise ValueError(f'unsupported profile setting "{profiling}"')
    if profiling == "enabled":
        raise ValueError(
            "runtime-profiling: found enabled, expected disabled: there is no profiler"
        )
    _interval(data, "runtime-export-interval")


def _check_metrics(data: Mapping[str, str], prefix: str) -> None:
    protocol = data.get(f"{prefix}metrics-protocol", NONE)
    endpoint = data.get(f"{prefix}metrics-endpoint", "")
    if protocol not in (GRPC, HTTP_PROTOBUF, PROMETHEUS, NONE):
        raise ValueError(f'unsupported protocol "{protocol}"')
    if protocol in (GRPC, HTTP_PROTOBUF):
        if not endpoint:
            raise ValueError(f'endpoint should be set when protocol is "{protocol}"')
        raise ValueError(
            f"{prefix}metrics-protocol: found {protocol}, expected none or prometheus: metrics are "
            "not sent anywhere, they are served at /metrics of every process"
        )
    if protocol == NONE and endpoint:
        raise ValueError(f'endpoint should not be set when protocol is "{protocol}"')
    if endpoint:
        raise ValueError(
            f"{prefix}metrics-endpoint: found {endpoint!r}, expected nothing: where /metrics is "
            "served say each process's settings metrics_host and metrics_port"
        )
    _interval(data, f"{prefix}metrics-export-interval")


def _tracing(data: Mapping[str, str]) -> Tracing | None:
    protocol = data.get("tracing-protocol", NONE)
    endpoint = data.get("tracing-endpoint", "")
    rate = _parsed(data, "tracing-sampling-rate", float, 0.0)
    if protocol not in (GRPC, HTTP_PROTOBUF, NONE, STDOUT):
        raise ValueError(f'unsupported protocol "{protocol}"')
    if protocol in (GRPC, HTTP_PROTOBUF) and not endpoint:
        raise ValueError(f'endpoint should be set for protocol "{protocol}"')
    if protocol in (NONE, STDOUT) and endpoint:
        raise ValueError("endpoint should not be set when protocol is 'none'")
    if not 0 <= rate <= 1:
        raise ValueError(f"sampling rate {rate:g} should be between zero and one")
    if protocol == STDOUT:
        raise ValueError(
            "tracing-protocol: found stdout, expected none, grpc or http/protobuf: the gateway "
            "sends spans to a collector and cannot print them"
        )
    return None if protocol == NONE else _collector(protocol, endpoint, rate)


def _collector(protocol: str, endpoint: str, rate: float) -> Tracing:
    """Of a URL, or of ``HOST:PORT``, which OpenTelemetry takes for one with TLS."""
    url = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
    try:
        port = url.port
    except ValueError:
        port = -1
    if url.scheme not in ("http", "https") or not url.hostname or port == -1:
        raise ValueError(f"tracing-endpoint: found {endpoint!r}, expected http://HOST:PORT/PATH")
    tls = url.scheme == "https"
    path = f"{url.path or '/v1/traces'}{'?' if url.query else ''}{url.query}"
    usual = 443 if tls else 80
    return Tracing(
        protocol, url.hostname, port or usual, tls, path if protocol == HTTP_PROTOBUF else "", rate
    )


def _interval(data: Mapping[str, str], name: str) -> None:
    if _parsed(data, name, duration, 0.0) < 0:
        raise ValueError(f'export interval "{data[name]}" should be greater than zero')


def _parsed(data: Mapping[str, str], name: str, read: Callable[[str], T], absent: T) -> T:
    if name not in data:
        return absent
    try:
        return read(data[name])
    except ValueError as error:
        raise ValueError(f'failed to parse "{name}": {error}') from error
