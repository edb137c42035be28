"""What ``config-observability`` asks of Envoy, as its configuration: logs and traces."""

from __future__ import annotations

from typing import Any

import envoy.extensions.access_loggers.file.v3.file_pb2
import envoy.extensions.access_loggers.filters.cel.v3.cel_pb2
import envoy.extensions.filters.http.router.v3.router_pb2
import envoy.extensions.transport_sockets.tls.v3.tls_pb2  # noqa: F401 - known by name
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from google.protobuf.json_format import ParseDict

from hearth.api.config import Tracing
from hearth.api.config.observability import GRPC
from hearth.api.config.request_log import RequestLogTemplate
from hearth.gateway.core.request_log import make_format
from hearth.gateway.translate import TYPES, protocol

ROUTER = f"{TYPES}.extensions.filters.http.router.v3.Router"
EDGE_ROUTER, COLD_ROUTER = "router", "cold-router"  #: their configuration comes by discovery


def make_routers(template: RequestLogTemplate | None, path: str) -> dict[str, TypedExtensionConfig]:
    """What the routers do, if it is more than route: log requests to the file ``path``.

    The edge's router logs what it sends to instances, and not what it sends to ``cold``, whose own
    router does.
    """
    if template is None:
        return {}
    to_instances = {
        "extension_filter": {
            "name": "envoy.access_loggers.extension_filters.cel",
            "typed_config": {
                "@type": f"{TYPES}.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
                "expression": "!upstream.address.startsWith('envoy:')",
            },
        }
    }
    edge = {**_to_file(path, make_format(template)), "filter": to_instances}
    cold = _to_file(path, make_format(template, cold=True))
    return {
        EDGE_ROUTER: _logging_router(EDGE_ROUTER, edge),
        COLD_ROUTER: _logging_router(COLD_ROUTER, cold),
    }


def _to_file(path: str, log_format: dict[str, Any]) -> dict[str, Any]:
    kind = f"{TYPES}.extensions.access_loggers.file.v3.FileAccessLog"
    own = {"@type": kind, "path": path, "log_format": log_format}
    return {"name": "requests", "typed_config": own}


def _logging_router(name: str, log: dict[str, Any]) -> TypedExtensionConfig:
    wire = {"name": name, "typed_config": {"@type": ROUTER, "upstream_log": [log]}}
    return ParseDict(wire, TypedExtensionConfig())


SERVICE_NAME = "hearth-gateway"  #: by which the collector knows who sends them
_SPAN_TIMEOUT = "5s"
_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"


def traces_name(tracing: Tracing) -> str:
    """The collector's cluster: another for another, as a tracer may have spans left to send."""
    return f"traces {tracing.protocol.replace('/', ' ')} {tracing.host}:{tracing.port}"


def make_tracing(tracing: Tracing) -> dict[str, Any]:
    """Of a connection manager: a span for each request, and one for each try at an instance.

    A request whose ``traceparent`` says so is sampled, or is not; of those without one a share is.
    """
    if tracing.protocol == GRPC:
        exporter: dict[str, Any] = {
            "grpc_service": {
                "envoy_grpc": {"cluster_name": traces_name(tracing)},
                "timeout": _SPAN_TIMEOUT,
            }
        }
    else:
        uri = {"uri": tracing.url, "cluster": traces_name(tracing), "timeout": _SPAN_TIMEOUT}
        exporter = {"http_service": {"http_uri": uri}}
    own = {
        "@type": f"{TYPES}.config.trace.v3.OpenTelemetryConfig",
        "service_name": SERVICE_NAME,
        "sampler": _sampler(tracing.sampling_rate),
    }
    return {
        "provider": {
            "name": "envoy.tracers.opentelemetry",
            "typed_config": {**own, **exporter},
        },
        "spawn_upstream_span": True,
        "custom_tags": [
            {"tag": tag, "request_header": {"name": header}}
            for tag, header in (
                ("k8s.namespace.name", "knative-serving-namespace"),
                ("kn.revision.name", "knative-serving-revision"),
            )
        ],
    }


def _sampler(rate: float) -> dict[str, Any]:
    """As Knative's: what the parent says, else a share of trace IDs."""
    samplers = f"{TYPES}.extensions.tracers.opentelemetry.samplers.v3"
    share = {"numerator": round(rate * 1e6), "denominator": "MILLION"}
    by_id = {
        "name": "envoy.tracers.opentelemetry.samplers.trace_id_ratio_based",
        "typed_config": {
            "@type": f"{samplers}.TraceIdRatioBasedSamplerConfig",
            "sampling_percentage": share,
        },
    }
    return {
        "name": "envoy.tracers.opentelemetry.samplers.parent_based",
        "typed_config": {
            "@type": f"{samplers}.ParentBasedSamplerConfig",
            "wrapped_sampler": by_id,
        },
    }


def make_collector(tracing: Tracing) -> Cluster:
    """The cluster of the collector."""
    address = {"socket_address": {"address": tracing.host, "port_value": tracing.port}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    wire: dict[str, Any] = {
        "name": traces_name(tracing),
        "type": "STRICT_DNS",
        "connect_timeout": "2s",
        "load_assignment": {"cluster_name": traces_name(tracing), "endpoints": endpoints},
    }
    kind = "http2" if tracing.protocol == GRPC else "http"
    wire["typed_extension_protocol_options"] = protocol(kind, "60s")
    if tracing.tls:
        wire["transport_socket"] = _trusting(tracing.host)
    return ParseDict(wire, Cluster())


def _trusting(host: str) -> dict[str, Any]:
    """TLS with a certificate for the host from an authority that this machine trusts."""
    context = {
        "@type": f"{TYPES}.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "sni": host,
        "common_tls_context": {
            "validation_context": {
                "trusted_ca": {"filename": _AUTHORITIES},
                "match_typed_subject_alt_names": [
                    {"san_type": "DNS", "matcher": {"exact": host}},
                    {"san_type": "IP_ADDRESS", "matcher": {"exact": host}},
                ],
            }
        },
    }
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}
