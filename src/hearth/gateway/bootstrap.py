"""Envoy's bootstrap configuration: the edge listener, and the internal ones that hold.

The shape is measured (docs/decisions/0008-the-hold.md): a cluster's last endpoint is the internal
listener ``cold``, whose HTTP ext_authz check waits in the activator; the answer names the instance
in dynamic metadata, and an ORIGINAL_DST cluster sends the request there.
"""

from __future__ import annotations

from typing import Any

from hearth.api.inside import name_of_instances
from hearth.gateway.hosts import LOWER_HOST
from hearth.gateway.translate import (
    ADS,
    AUTHZ,
    CIRCUIT_BREAKERS,
    COLD_ROUTER,
    EDGE_ROUTER,
    RETRY_HEADER,
    ROUTER,
    SAFE_METHODS,
    SAFE_RETRY_HEADER,
    SECURE_HOLD,
    SLOT_HEADER,
    START_HEADER,
    TYPES,
    hold_cluster,
    protocol,
)
from hearth.kit.metrics import SECONDS

Config = dict[str, Any]
Address = tuple[str, int]

NO_SNI = "no-server-name"  #: what a client asks for that asks for no name

#: Statuses with which a held request may be answered instead of being sent on.
REPLY_STATUSES = (404, 429, 500, 502, 503, 504)
STATUS_HEADER = "hearth-reply-status"
MESSAGE_HEADER = "hearth-reply-message"
#: Of the activator's answer, for Envoy alone: the request is the first that a new instance gets.
COLD_HEADER = "cold"
SECURE_HEADER = "secure"  #: likewise: the instance is spoken to over TLS
_SILENT_CLIENT = "300s"  #: a connection without any request is ended
_BACKLOG = 4096  #: connections that may wait, as they do while there is no Envoy
_HOLD_TIMEOUT = "3600s"  #: the activator itself ends a hold earlier


def make_bootstrap(
    *,
    name: str,
    edge: Address,
    https: Address,
    inside: Address,
    inside_https: Address,
    xds: str,
    activator: str,
    admin: str,
    mark: str,
    headers_timeout_s: float = 60.0,
    body_timeout_s: float = 3600.0,
) -> Config:
    """The bootstrap.

    Args:
        name: the gateway's.
        edge: where requests from outside arrive.
        https: where requests from outside arrive over TLS.
        inside: where requests from inside arrive, which may be for cluster-local hosts.
        inside_https: where requests from inside arrive over TLS.
        xds: path of a unix socket, as are the last two.
        activator: likewise.
        admin: likewise.
        mark: value of the header by which ``cold`` asks the edge for another try: known to nobody
            else, so that an app that answers with that header has no request repeated.
        headers_timeout_s: for a request's headers to be whole.
        body_timeout_s: for a request to be whole, unless it is answered before.
    """
    timeouts = _timeouts(headers_timeout_s, body_timeout_s)
    return {
        "node": {"id": name, "cluster": "hearth"},
        "admin": {"address": {"pipe": {"path": admin, "mode": 0o600}}},
        "dynamic_resources": {
            "ads_config": {**xds_source("DELTA_GRPC"), "set_node_on_first_message_only": True},
            "cds_config": ADS,
        },
        "cluster_manager": {"load_stats_config": xds_source("GRPC")},
        "static_resources": {
            "clusters": [
                pipe_cluster("xds", xds, http2=True),
                pipe_cluster("activator", activator, http2=False),
                hold_cluster("hold", "http"),
                hold_cluster("hold-h2", "http2"),
            ],
            "listeners": [
                _edge("edge", edge, timeouts, fragments=1),
                _edge("https", https, timeouts, fragments=1, tls=True),
                _edge("inside", inside, timeouts, fragments=2),
                _edge("inside-https", inside_https, timeouts, fragments=2, tls=True),
                _cold("cold", "hold", mark),
                _cold("cold-h2", "hold-h2", mark),
            ],
        },
        "bootstrap_extensions": [_INTERNAL_LISTENERS],
        "layered_runtime": {
            "layers": [
                {
                    "name": "static",
                    "static_layer": {"overload.global_downstream_max_connections": 50_000},
                }
            ]
        },
        "stats_config": _STATS,
    }


def _timeouts(headers_s: float, whole_s: float) -> Config:
    return {"request_headers_timeout": f"{headers_s:g}s", "request_timeout": f"{whole_s:g}s"}


_INTERNAL_LISTENERS = {
    "name": "envoy.bootstrap.internal_listener",
    "typed_config": {
        "@type": f"{TYPES}.extensions.bootstrap.internal_listener.v3.InternalListener"
    },
}
#: What is not asked for is not kept: 38 instead of 60 MB per 1,000 clusters (measured).
_KEPT_STATS = [
    {"prefix": prefix}
    for prefix in (
        "cluster_manager.",
        "http.edge.downstream_",
        "http.https.downstream_",
        "http.inside.downstream_",
        "http.inside-https.downstream_",
        "listener_manager.",
        "server.",
    )
] + [
    # Of revisions, by Envoy made when there is something to count.
    {"safe_regex": {"regex": r"cluster\.[^./]+/[^./]+/[^./]+\.upstream_rq_([1-5]xx|time)"}}
]
#: Envoy counts time in milliseconds.
_MILLISECONDS = {
    "match": {"suffix": "upstream_rq_time"},
    "buckets": [1, *(int(bound * 1000) for bound in SECONDS)],
}
_STATS = {
    "stats_matcher": {"inclusion_list": {"patterns": _KEPT_STATS}},
    "histogram_bucket_settings": [_MILLISECONDS],
}


#: A companion that died is back after a second: it need not be waited for longer than that.
_RECONNECT = {"base_interval": "0.1s", "max_interval": "1s"}


def xds_source(kind: str) -> Config:
    """Where resources or load reports are exchanged: the companion's socket."""
    return {
        "api_type": kind,
        "transport_api_version": "V3",
        "grpc_services": [
            {"envoy_grpc": {"cluster_name": "xds", "retry_policy": {"retry_back_off": _RECONNECT}}}
        ],
    }


def pipe_cluster(name: str, path: str, *, http2: bool) -> Config:
    """A server at a unix socket."""
    endpoint = {"endpoint": {"address": {"pipe": {"path": path}}}}
    cluster: Config = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "circuit_breakers": CIRCUIT_BREAKERS,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    if http2:
        cluster["typed_extension_protocol_options"] = protocol("http2", "0s")
    return cluster


def _manager(prefix: str, **fields: Any) -> Config:
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": f"{TYPES}.extensions.filters.network.http_connection_manager.v3"
            ".HttpConnectionManager",
            "stat_prefix": prefix,
            "upgrade_configs": [{"upgrade_type": "websocket"}],
            "http_protocol_options": {"enable_trailers": True},
            "http2_protocol_options": {"max_concurrent_streams": 10_000},
            "server_header_transformation": "PASS_THROUGH",
            "stream_idle_timeout": "0s",  # a revision's timeouts alone end its streams
            "common_http_protocol_options": {"idle_timeout": _SILENT_CLIENT},
            **fields,
        },
    }


def _router(name: str) -> Config:
    """A router that can be told to log requests while it runs: see ``make_routers``.

    What a listener itself logs cannot be changed without ending its connections.
    """
    return {
        "name": name,
        "config_discovery": {
            "config_source": ADS,
            "default_config": {"@type": ROUTER},
            "apply_default_config_without_warming": True,
            "type_urls": [ROUTER],
        },
    }


def _safe_retries() -> Config:
    """Says of a request with a safe method that it may be repeated if an app may have seen it."""
    name, value = SAFE_RETRY_HEADER
    mutations = f"{TYPES}.extensions.filters.http.header_mutation.v3.HeaderMutation"
    said = {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    by_method = {
        "name": "method",
        "typed_config": {
            "@type": f"{TYPES}.type.matcher.v3.HttpRequestHeaderMatchInput",
            "header_name": ":method",
        },
    }
    safe = {
        "single_predicate": {
            "input": by_method,
            "value_match": {"safe_regex": {"google_re2": {}, "regex": SAFE_METHODS}},
        }
    }
    skip = {
        "name": "skip",
        "typed_config": {
            "@type": f"{TYPES}.extensions.filters.common.matcher.action.v3.SkipFilter"
        },
    }
    others = {"predicate": {"not_matcher": safe}, "on_match": {"action": skip}}
    return {
        "name": "safe retries",
        "typed_config": {
            "@type": f"{TYPES}.extensions.common.matching.v3.ExtensionWithMatcher",
            "extension_config": {
                "name": "envoy.filters.http.header_mutation",
                "typed_config": {
                    "@type": mutations,
                    "mutations": {"request_mutations": [{"append": said}]},
                },
            },
            "xds_matcher": {"matcher_list": {"matchers": [others]}},
        },
    }


def _edge(
    name: str, address: Address, timeouts: Config, *, fragments: int, tls: bool = False
) -> Config:
    """A listener for requests; see ``make_scopes`` for what the number of key fragments does."""
    by_host = {
        "header_value_extractor": {"name": ":authority", "element_separator": ":", "index": 0}
    }
    said = "no service is at host %REQ(:AUTHORITY)%\n"
    not_found = {
        "filter": {"response_flag_filter": {"flags": ["NR"]}},
        "body_format_override": {"text_format_source": {"inline_string": said}},
    }
    manager = _manager(
        name,
        http_filters=[LOWER_HOST, _safe_retries(), _router(EDGE_ROUTER)],
        use_remote_address=True,
        normalize_path=False,
        **timeouts,
        scoped_routes={
            "name": "hearth",
            "scope_key_builder": {"fragments": [by_host] * fragments},
            "rds_config_source": ADS,
            "scoped_rds": {"scoped_rds_config_source": ADS},
        },
        local_reply_config={"mappers": [not_found, _timed_out(), _ended_early(), _unreachable()]},
    )
    chain = {"filters": [manager]}
    return {
        "name": name,
        "address": {"socket_address": {"address": address[0], "port_value": address[1]}},
        "freebind": True,  # the network of pods may come after Envoy
        "tcp_backlog_size": _BACKLOG,
        **(_told_apart({**chain, **_tls()}, name, timeouts) if tls else {"filter_chains": [chain]}),
    }


def _told_apart(secure: Config, name: str, timeouts: Config) -> Config:
    """A TLS port's chains: who speaks plain HTTP to it is sent to the same place by ``https``."""
    routes = [{"match": {"prefix": "/"}, "redirect": {"https_redirect": True}}]
    manager = _manager(
        f"{name} plain",
        http_filters=[{"name": "router", "typed_config": {"@type": ROUTER}}],
        use_remote_address=True,
        **timeouts,
        route_config={
            "name": f"{name} plain",
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}],
        },
    )
    plain = {"filter_chain_match": {"transport_protocol": "raw_buffer"}, "filters": [manager]}
    inspector = f"{TYPES}.extensions.filters.listener.tls_inspector.v3.TlsInspector"
    return {
        "listener_filters": [
            {"name": "envoy.filters.listener.tls_inspector", "typed_config": {"@type": inspector}}
        ],
        "filter_chains": [{"filter_chain_match": {"transport_protocol": "tls"}, **secure}, plain],
    }


def _tls() -> Config:
    """TLS with the certificate of the name that the client asks for (SNI), fetched when it does.

    So a host with a certificate costs the gateway nothing before it is used, and one certificate
    more, or a renewed one, changes no listener. For a name without a certificate there is none: the
    handshake fails.
    """
    selectors = f"{TYPES}.extensions.transport_sockets.tls.cert_selectors.on_demand_secret.v3"
    mappers = f"{TYPES}.extensions.transport_sockets.tls.cert_mappers.sni.v3"
    by_name = {
        "name": "envoy.tls.certificate_mappers.sni",
        "typed_config": {"@type": f"{mappers}.SNI", "default_value": NO_SNI},
    }
    selector = {
        "name": "envoy.tls.certificate_selectors.on_demand_secret",
        "typed_config": {
            "@type": f"{selectors}.Config",
            "config_source": ADS,
            "certificate_mapper": by_name,
        },
    }
    context = {
        "@type": f"{TYPES}.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "disable_stateless_session_resumption": True,  # Envoy has both only for certificates
        "disable_stateful_session_resumption": True,  # that it knows before the handshake
        "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "custom_tls_certificate_selector": selector,
        },
    }
    return {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context}}


def _timed_out() -> Config:
    """Knative's answer when a request took too long: in all, to its first byte, or between two."""
    return {
        "filter": {"response_flag_filter": {"flags": ["UT", "DT", "SI"]}},
        "status_code": 504,
        "body_format_override": {"text_format_source": {"inline_string": "request timeout\n"}},
    }


def _ended_early() -> Config:
    """The instance began with a request and ended before it answered; 502 is Knative's status."""
    said = "the instance ended before it answered\n"
    return {
        "filter": {"response_flag_filter": {"flags": ["UC", "UR", "UPE"]}},
        "status_code": 502,
        "body_format_override": {"text_format_source": {"inline_string": said}},
    }


def _unreachable() -> Config:
    """Tried for a minute: neither an instance nor the activator was there."""
    said = "no instance could be reached\n"
    return {
        "filter": {"response_flag_filter": {"flags": ["UF", "UH", "UO", "NC"]}},
        "body_format_override": {"text_format_source": {"inline_string": said}},
    }


def _cold(name: str, hold: str, mark: str) -> Config:
    replies = [
        {
            "match": {
                "prefix": "/",
                "headers": [{"name": STATUS_HEADER, "string_match": {"exact": str(status)}}],
            },
            "direct_response": {"status": status},
        }
        for status in REPLY_STATUSES
    ]
    over_tls = {
        "filter": AUTHZ,
        "path": [{"key": SECURE_HEADER}],
        "value": {"string_match": {"exact": "1"}},
    }
    secure = {
        "match": {"prefix": "/", "dynamic_metadata": [over_tls]},
        **_send_to(hold.replace("hold", SECURE_HOLD)),
    }
    send = {"match": {"prefix": "/"}, **_send_to(hold)}
    routes = {
        "name": name,
        "validate_clusters": False,  # that for TLS is there only while it is spoken
        "virtual_hosts": [{"name": name, "domains": ["*"], "routes": [*replies, secure, send]}],
    }
    manager = _manager(
        name,
        http_filters=[_hold_filter(), _WHOSE, _router(COLD_ROUTER)],
        route_config=routes,
        use_remote_address=False,
        skip_xff_append=True,
        generate_request_id=False,
        access_log=[_ends(), _first_bytes()],
        local_reply_config={
            "mappers": [_activator_died(mark), _reply_text(), _hold_failed(mark), _ended_early()]
        },
    )
    return {"name": name, "internal_listener": {}, "filter_chains": [{"filters": [manager]}]}


def _send_to(hold: str) -> Config:
    return {
        "route": {
            "cluster": hold,
            "timeout": "0s",
            "retry_policy": {
                "retry_on": "connect-failure,refused-stream",
                "num_retries": 2,
                "retry_back_off": {"base_interval": "0.02s"},
            },
        }
    }


#: Says whose instance a held request must reach, where it proves that by its certificate.
_WHOSE = {
    "name": "envoy.filters.http.set_filter_state",
    "typed_config": {
        "@type": f"{TYPES}.extensions.filters.http.set_filter_state.v3.Config",
        "clear_route_cache": True,  # the check does so only when it adds headers
        "on_request_headers": [
            {
                "object_key": "envoy.network.upstream_subject_alt_names",
                "format_string": {
                    "text_format_source": {
                        "inline_string": name_of_instances("%REQ(KNATIVE-SERVING-NAMESPACE)%")
                    }
                },
            }
        ],
    },
}
#: What is told of a stream of a revision with a containerConcurrency when it ends; ``limits`` reads
#: it. The attempt belongs to its name: a retry is another stream.
STREAM_ENDED = f"<%REQ({SLOT_HEADER})% %REQ(X-ENVOY-ATTEMPT-COUNT)% %RESPONSE_FLAGS%>"


#: What is told of the first request that a new instance gets, when it ends; the activator reads it:
#: what it has said itself, and when the answer began, in microseconds. Nobody waits for it.
FIRST_BYTE = (
    f"[%DYNAMIC_METADATA({AUTHZ}:{COLD_HEADER})% %COMMON_DURATION(DS_RX_BEG:US_RX_BEG:us)%]"
)


def _ends() -> Config:
    present = {"name": SLOT_HEADER, "present_match": True}
    return _told("ends", {"header_filter": {"header": present}}, STREAM_ENDED)


def _first_bytes() -> Config:
    cold = {
        "filter": AUTHZ,
        "path": [{"key": COLD_HEADER}],
        "value": {"present_match": True},
    }
    only = {"metadata_filter": {"matcher": cold, "match_if_key_not_found": False}}
    return _told("first bytes", only, FIRST_BYTE)


def _told(name: str, only: Config, said: str) -> Config:
    """Streams that the companion is told of when they end, and what it is told."""
    common = {
        "log_name": name,
        "transport_api_version": "V3",
        "grpc_service": {"envoy_grpc": {"cluster_name": "xds"}},
        "buffer_size_bytes": 0,  # each at once
        "custom_tags": [{"tag": "said", "value": said}],
    }
    return {
        "name": name,
        "filter": only,
        "typed_config": {
            "@type": f"{TYPES}.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
            "common_config": common,
        },
    }


def _activator_died(mark: str) -> Config:
    """The check itself failed: the edge tries again until an activator holds the request."""
    return _try_again("UAEX", mark, "the gateway's activator does not answer")


def _hold_failed(mark: str) -> Config:
    """The instance refused: it died a moment ago; the edge tries again and is held again."""
    return _try_again("UF", mark, "the instance does not answer")


def _try_again(flag: str, mark: str, said: str) -> Config:
    return {
        "filter": {"response_flag_filter": {"flags": [flag]}},
        "headers_to_add": [{"header": {"key": RETRY_HEADER, "value": mark}}],
        "body_format_override": {"text_format_source": {"inline_string": f"{said}\n"}},
    }


def _reply_text() -> Config:
    """The activator answers in words; no body passes Python, so they come as a header."""
    return {
        "filter": {"header_filter": {"header": {"name": MESSAGE_HEADER, "present_match": True}}},
        "body_format_override": {
            "text_format_source": {"inline_string": f"%REQ({MESSAGE_HEADER.upper()})%\n"}
        },
    }


def _hold_filter() -> Config:
    passed = ("knative-serving-namespace", "knative-serving-revision", "hearth-tenant",
              "hearth-timing", "x-envoy-attempt-count", SLOT_HEADER, START_HEADER)  # fmt: skip
    return {
        "name": AUTHZ,
        "typed_config": {
            "@type": f"{TYPES}.extensions.filters.http.ext_authz.v3.ExtAuthz",
            "transport_api_version": "V3",
            "failure_mode_allow": False,
            "status_on_error": {"code": "ServiceUnavailable"},
            "clear_route_cache": True,
            "allowed_headers": {"patterns": [{"exact": name} for name in passed]},
            "http_service": {
                "server_uri": {
                    "uri": "http://activator",
                    "cluster": "activator",
                    "timeout": _HOLD_TIMEOUT,
                },
                "authorization_response": {
                    "allowed_upstream_headers": {
                        "patterns": [{"exact": STATUS_HEADER}, {"exact": MESSAGE_HEADER}]
                    },
                    "allowed_client_headers_on_success": {"patterns": [{"exact": "server-timing"}]},
                    "dynamic_metadata_from_headers": {
                        "patterns": [
                            {"exact": "address"},
                            {"exact": COLD_HEADER},
                            {"exact": SECURE_HEADER},
                        ]
                    },
                },
            },
        },
    }
