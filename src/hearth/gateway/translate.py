"""Routing and endpoints as xDS resources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2
import envoy.extensions.retry.priority.previous_priorities.v3.previous_priorities_config_pb2
import envoy.extensions.transport_sockets.tls.v3.tls_pb2
import envoy.extensions.upstreams.http.v3.http_protocol_options_pb2  # noqa: F401 - known by name
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.config.route.v3.scoped_route_pb2 import ScopedRouteConfiguration
from google.protobuf.json_format import ParseDict

from hearth.api.inside import TLS_PORT, name_of_instances
from hearth.gateway.core.routing import Backend, Endpoints, Host, Routing, Weight, shares

M = TypeVar("M")

TYPES = "type.googleapis.com/envoy"
ADS = {"ads": {}, "resource_api_version": "V3"}
TLS_PARAMETERS = {  #: between the gateway and instances; as Knative
    "tls_minimum_protocol_version": "TLSv1_3",
    "tls_maximum_protocol_version": "TLSv1_3",
}
#: Envoy's defaults drop bursts beyond 1,024 (measured: 2,000 held requests pass with these).
CIRCUIT_BREAKERS = {
    "thresholds": [
        {
            "max_connections": 1_000_000,
            "max_pending_requests": 1_000_000,
            "max_requests": 1_000_000,
            "max_retries": 1_000_000,
        }
    ]
}
#: A connection to an app is not kept longer than this without a request. Servers end idle ones
#: (uvicorn and Node after 5 s, gunicorn after 2), and a POST that meets that end is lost.
_KEPT = "1.5s"


_OPTIONS: dict[str, Any] = {"http": {"enable_trailers": True}, "http2": {}}


def protocol(kind: str, idle_timeout: str = _KEPT) -> dict[str, Any]:
    """A cluster's ``typed_extension_protocol_options``; ``kind`` is ``http`` or ``http2``."""
    name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    options = {
        "@type": f"{TYPES}.extensions.upstreams.http.v3.HttpProtocolOptions",
        "common_http_protocol_options": {"idle_timeout": idle_timeout},
        "explicit_http_config": {f"{kind}_protocol_options": _OPTIONS[kind]},
    }
    return {name: options}


#: The hold's answers name an instance, and whether it is spoken to over TLS, in this metadata.
AUTHZ = "envoy.filters.http.ext_authz"
SECURE_HOLD = "hold-tls"  #: HTTP/2 has one of its own


def hold_cluster(name: str, kind: str) -> dict[str, Any]:
    """A cluster that sends each request to the instance that the hold's answer has named."""
    return {
        "name": name,
        "type": "ORIGINAL_DST",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": "0.5s",
        "cleanup_interval": "30s",
        "circuit_breakers": CIRCUIT_BREAKERS,
        "original_dst_lb_config": {"metadata_key": {"key": AUTHZ, "path": [{"key": "address"}]}},
        "typed_extension_protocol_options": protocol(kind),
    }


#: Headers that only we may set: what a client sends under these names never passes the edge.
OWN_HEADERS = (
    "knative-serving-namespace", "knative-serving-revision", "hearth-tenant",
    "hearth-reply-status", "hearth-reply-message", "hearth-retry", "hearth-slot",
    "hearth-start",
)  # fmt: skip
#: Knative's: names the tag that a request is for, and tells that no tag was asked for.
TAG_HEADER = "knative-serving-tag"
DEFAULT_ROUTE_HEADER = "knative-serving-default-route"
RETRY_HEADER = "hearth-retry"
SLOT_HEADER = "hearth-slot"
START_HEADER = "hearth-start"
#: Those that a revision sets anew, or takes away from what comes in.
_OF_REVISIONS = ("knative-serving-namespace", "knative-serving-revision", "hearth-tenant",
                 SLOT_HEADER, START_HEADER)  # fmt: skip
_RETRIES_MAX = 240  #: with the back-off below: a minute for an activator to come back

#: An instance that just died refuses: the request goes on to ``cold``. So does one whose activator
#: died while it was held. Neither repeats a request that an app may have seen.
RETRY_POLICY: dict[str, Any] = {
    "retry_on": "connect-failure,refused-stream,reset-before-request,retriable-headers",
    "num_retries": _RETRIES_MAX,
    "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.5s"},
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {
                "@type": f"{TYPES}.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
            },
        }
    ],
    "host_selection_retry_max_attempts": 3,
    "retry_priority": {
        "name": "envoy.retry_priorities.previous_priorities",
        "typed_config": {
            "@type": f"{TYPES}.extensions.retry.priority.previous_priorities.v3"
            ".PreviousPrioritiesConfig",
            "update_frequency": 1,
        },
    },
}
#: A connection that was kept open ends with its instance: whether the app saw what was sent last is
#: unknown, so only a method that may be repeated (RFC 9110, 9.2.1) goes on to ``cold``. A listener
#: gives such requests this header, which Envoy adds to their policy and takes away: a route of
#: their own would cost 10 kB for each host. In ``cold`` they are let go once: a request that kills
#: its app kills two instances at most.
SAFE_METHODS = "GET|HEAD|OPTIONS|TRACE"
SAFE_RETRY_HEADER = ("x-envoy-retry-on", "reset")


_IS_SECURE = {"tls": True}  #: of endpoints that are spoken to over TLS
_SECURE_CONNECT = "0.5s"  #: with the handshake, on a busy machine


def trust_name(mark: str) -> str:
    """The name of the secret with the authorities by which instances prove who they are.

    No client can ask for it as a host's certificate: it does not know the gateway's mark.
    """
    return f"trust-{mark}"


def _tls(mark: str, **context: Any) -> dict[str, Any]:
    """TLS to an instance, which proves who it is."""
    given = {"name": trust_name(mark), "sds_config": ADS}
    common: dict[str, Any] = {"tls_params": TLS_PARAMETERS}
    if names := context.pop("names", ()):
        exact = [{"san_type": "DNS", "matcher": {"exact": name}} for name in names]
        common["combined_validation_context"] = {
            "default_validation_context": {"match_typed_subject_alt_names": exact},
            "validation_context_sds_secret_config": given,
        }
    else:
        common["validation_context_sds_secret_config"] = given
    typed = f"{TYPES}.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    wire = {"@type": typed, **context, "common_tls_context": common}
    return {"name": "envoy.transport_sockets.tls", "typed_config": wire}


def make_hold_clusters(mark: str) -> dict[str, Cluster]:
    """Where requests are let go to from the hold while instances are spoken to over TLS.

    Whose instance it must be is said with each request: see ``bootstrap``.
    """
    found = {}
    for name, kind in ((SECURE_HOLD, "http"), (f"{SECURE_HOLD}-h2", "http2")):
        wire = {**hold_cluster(name, kind), "connect_timeout": _SECURE_CONNECT}
        found[name] = ParseDict({**wire, "transport_socket": _tls(mark)}, Cluster())
    return found


def make_cluster(backend: Backend, mark: str) -> Cluster:
    """The cluster of a revision; its instances come by EDS. ``mark`` is the gateway's own."""
    wire: dict[str, Any] = {
        "name": backend.cluster,
        "type": "EDS",
        "connect_timeout": "0.25s",
        "eds_cluster_config": {"eds_config": ADS},
        "circuit_breakers": CIRCUIT_BREAKERS,
        "lb_policy": "LEAST_REQUEST",
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
    }
    wire["typed_extension_protocol_options"] = protocol("http2" if backend.http2 else "http")
    if backend.secure:  # ``cold`` is one of its endpoints, too, and within Envoy
        name = name_of_instances(backend.key.namespace)
        tls = {
            "name": "tls",
            "match": _IS_SECURE,
            "transport_socket": _tls(mark, names=[name], sni=name),
        }
        wire |= {"connect_timeout": _SECURE_CONNECT, "transport_socket_matches": [tls]}
        wire["eds_cluster_config"]["service_name"] = backend.endpoints
    return ParseDict(wire, Cluster())


def make_load_assignment(endpoints: Endpoints) -> ClusterLoadAssignment:
    """Instances first, then ``cold``; without instances ``cold`` alone.

    Priorities must be contiguous from 0, so ``cold`` moves up when there is nothing before it: no
    instance, or none that may be reached but through the activator.
    """
    localities = []
    warm = bool(endpoints.addresses) and not endpoints.admitted
    if warm:
        addresses = [_instance(ip, port, endpoints) for ip, port in endpoints.addresses]
        pods = {"priority": 0, "locality": {"zone": "pods"}, "lb_endpoints": addresses}
        localities.append(pods)
    listener = "cold-h2" if endpoints.http2 else "cold"
    internal = {"server_listener_name": listener, "endpoint_id": endpoints.name}
    cold = {"endpoint": {"address": {"envoy_internal_address": internal}}}
    localities.append(
        {
            "priority": 1 if warm else 0,
            "locality": {"zone": "cold"},
            "lb_endpoints": [cold],
        }
    )
    wire = {
        "cluster_name": endpoints.name,
        "endpoints": localities,
        "policy": {"overprovisioning_factor": 100},
    }
    return ParseDict(wire, ClusterLoadAssignment())


def _instance(ip: str, port: int, endpoints: Endpoints) -> dict[str, Any]:
    where = {"address": ip, "port_value": TLS_PORT if endpoints.secure else port}
    found: dict[str, Any] = {"endpoint": {"address": {"socket_address": where}}}
    if endpoints.secure:
        found["metadata"] = {"filter_metadata": {"envoy.transport_socket_match": _IS_SECURE}}
    return found


def make_route_configuration(
    routing: Routing, mark: str, https_port: int = 443
) -> RouteConfiguration:
    """All virtual hosts of a Route.

    Args:
        routing: what the Route says.
        mark: value of the header by which ``cold`` asks for another try.
        https_port: where plain HTTP is redirected to.
    """
    hosts = [one for host in routing.hosts for one in _split(host)]
    wire = {
        "name": routing.name,
        "ignore_port_in_host_matching": True,
        "virtual_hosts": [_virtual_host(host, mark, https_port) for host in hosts],
    }
    return ParseDict(wire, RouteConfiguration())


def _split(host: Host) -> list[Host]:
    """What holds for the public name alone makes the others a virtual host of their own."""
    if not host.internal or not (host.redirected or host.challenges):
        return [host]
    inside = replace(host, public="", redirected=False, challenges=())
    if not host.public:
        return [inside]
    return [replace(host, internal=()), replace(inside, name=f"{host.name} inside")]


#: RFC 7239's header, which Knative's runtime contract promises to apps.
_FORWARDED = {
    "header": {
        "key": "forwarded",
        "value": (
            'for="%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%";host="%REQ(:AUTHORITY)%"'
            ";proto=%REQ(X-FORWARDED-PROTO)%"
        ),
    },
    "append_action": "ADD_IF_ABSENT",
}


def _virtual_host(host: Host, mark: str, https_port: int) -> dict[str, Any]:
    return {
        "name": host.name,
        "domains": list(host.domains),
        "include_request_attempt_count": True,
        "request_headers_to_add": [_FORWARDED],
        "request_headers_to_remove": [n for n in OWN_HEADERS if n not in _OF_REVISIONS],
        "response_headers_to_remove": [RETRY_HEADER],
        "routes": [
            *_before(host, https_port),
            *_by_tag(host, mark),
            *_sent_on(host.weights, mark, _told(host)),
        ],
    }


def _by_tag(host: Host, mark: str) -> list[dict[str, Any]]:
    """Requests whose header picks one of the Route's tags."""
    found = []
    for tag, weights in host.by_tag:
        picked = {"name": TAG_HEADER, "string_match": {"exact": tag}}
        found += _sent_on(weights, mark, {}, picked)
    return found


def _sent_on(
    weights: Sequence[Weight], mark: str, told: dict[str, str], *headers: dict[str, Any]
) -> list[dict[str, Any]]:
    """To those revisions, with what they are ``told``; requests must have the ``headers``."""
    found = []
    for upto, group in shares(weights):
        match: dict[str, Any] = {"prefix": "/"}
        if upto < 100:  # all routes compare the same random number
            match["runtime_fraction"] = {"default_value": {"numerator": upto}}
        found += _of_share(match, group, mark, told, headers)
    return found


def _of_share(
    match: dict[str, Any],
    group: Sequence[Weight],
    mark: str,
    told: dict[str, str],
    headers: Sequence[dict[str, Any]],
) -> list[dict[str, Any]]:
    """To revisions with the same timeouts: WebSockets, and others; each route costs Envoy 10 kB.

    A WebSocket may stay open, but neither side may be silent for longer than an answer may take.
    """
    action: dict[str, Any] = {
        "timeout": "0s",
        "weighted_clusters": {"clusters": [_weighted(weight) for weight in group]},
    }
    backend = group[0].backend
    # Ends what has not begun to answer; a try after it is refused by the activator.
    action["retry_policy"] = {
        **RETRY_POLICY,
        "per_try_timeout": f"{backend.answer_s}s",
        "retriable_headers": [{"name": RETRY_HEADER, "string_match": {"exact": mark}}],
    }
    if backend.idle_s:
        action["idle_timeout"] = f"{backend.idle_s}s"
    common = {"request_headers_to_add": _set(told)} if told else {}
    return [
        {
            "match": {**match, "headers": [*headers, _WEBSOCKET]},
            "route": {**action, "idle_timeout": f"{backend.answer_s}s"},
            **common,
        },
        {
            "match": {**match, **({"headers": [*headers]} if headers else {})},
            "route": action,
            **common,
        },
    ]


def _told(host: Host) -> dict[str, str]:
    """What an app learns of how its request was routed, where the tags' header is spoken."""
    if host.tag:
        return {TAG_HEADER: host.tag}
    return {DEFAULT_ROUTE_HEADER: "true"} if host.by_tag else {}


def _set(headers: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for name, value in headers.items()
    ]


def _before(host: Host, https_port: int) -> list[dict[str, Any]]:
    """What is answered instead of being sent on: challenges, and plain HTTP where it is not had."""
    routes: list[dict[str, Any]] = [
        {
            "match": {"path": path},
            "direct_response": {"status": 200, "body": {"inline_string": body}},
        }
        for path, body in host.challenges
    ]
    if host.redirected:  # the edge itself sets that header
        plain = {"name": "x-forwarded-proto", "string_match": {"exact": "http"}}
        redirect = {"https_redirect": True, "port_redirect": https_port}
        routes.append({"match": {"prefix": "/", "headers": [plain]}, "redirect": redirect})
    return routes


_WEBSOCKET = {"name": "upgrade", "string_match": {"exact": "websocket", "ignore_case": True}}


def _weighted(weight: Weight) -> dict[str, Any]:
    key = weight.backend.key
    own = {
        "knative-serving-namespace": key.namespace,
        "knative-serving-revision": key.name,
        "hearth-tenant": key.tenant,
    }
    if limit := weight.backend.limit:
        own[SLOT_HEADER] = f"{limit}/{weight.backend.bursts:d}/%UNIQUE_ID%"
    own[START_HEADER] = "%START_TIME(%s.%3f)%"  # so that another try has no more time
    return {
        "request_headers_to_remove": [name for name in _OF_REVISIONS if name not in own],
        "name": weight.backend.cluster,
        "weight": weight.percent,
        "request_headers_to_add": _set(own),
    }


def make_scopes(routing: Routing) -> dict[str, ScopedRouteConfiguration]:
    """The scopes of a Route: a request's host selects the Route's configuration.

    The listeners build the key differently: from outside it is the host, from inside the host
    twice. So one set of scopes serves both, and what is for inside alone is not found from outside.
    """
    found = {}
    for host in routing.hosts:
        if host.public:
            found[host.public] = _scope(host.public, routing.name, host.public)
        for domain in host.domains:
            name = f"inside/{domain}"
            found[name] = _scope(name, routing.name, domain, domain)
    return found


def _scope(name: str, route: str, *key: str) -> ScopedRouteConfiguration:
    wire = {
        "name": name,
        "route_configuration_name": route,
        "key": {"fragments": [{"string_key": part} for part in key]},
    }
    return ParseDict(wire, ScopedRouteConfiguration())
