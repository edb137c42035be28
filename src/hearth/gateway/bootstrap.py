"""Envoy's bootstrap configuration: with the internal listeners that hold.

The shape is measured (docs/decisions/0008-the-hold.md): a cluster's last endpoint is the internal
listener ``cold``, whose HTTP ext_authz check waits in the activator; the answer names the instance
in dynamic metadata, and an ORIGINAL_DST cluster sends the request there.
"""

from __future__ import annotations

from hearth.api.inside import name_of_instances
from hearth.gateway.listeners import (
    Addresses,
    Config,
    ended_early,
    make_manager,
    make_router,
    timed_out,
)
from hearth.gateway.observing import COLD_ROUTER
from hearth.gateway.translate import (
    ADS,
    AUTHZ,
    CIRCUIT_BREAKERS,
    RETRY_HEADER,
    SECURE_HOLD,
    SLOT_HEADER,
    START_HEADER,
    TYPES,
    hold_cluster,
    protocol,
)
from hearth.kit.metrics import SECONDS

#: Statuses with which a held request may be answered instead of being sent on.
REPLY_STATUSES = (404, 429, 500, 502, 503, 504)
STATUS_HEADER = "hearth-reply-status"
MESSAGE_HEADER = "hearth-reply-message"
#: Envoy's own: milliseconds until an instance must have begun to answer; no app sees it.
ANSWER_HEADER = "x-envoy-upstream-rq-per-try-timeout-ms"
#: Of the activator's answer, for Envoy alone: the request is the first that a new instance gets.
COLD_HEADER = "cold"
SECURE_HEADER = "secure"  #: likewise: the instance is spoken to over TLS
_HOLD_TIMEOUT = "3600s"  #: the activator itself ends a hold earlier


def make_bootstrap(
    *,
    name: str,
    addresses: Addresses,
    listeners: str,
    xds: str,
    activator: str,
    admin: str,
    mark: str,
) -> Config:
    """The bootstrap.

    Args:
        name: the gateway's.
        addresses: where it listens: noted here, for whoever finds this Envoy running.
        listeners: path of the file with what :func:`make_listeners` makes; followed by Envoy.
        xds: path of a unix socket, as are the last two.
        activator: likewise.
        admin: likewise.
        mark: value of the header by which ``cold`` asks the edge for another try: known to nobody
            else, so that an app that answers with that header has no request repeated.
    """
    return {
        "node": {"id": name, "cluster": "hearth", "metadata": {"addresses": addresses.by_name}},
        "admin": {"address": {"pipe": {"path": admin, "mode": 0o600}}},
        "dynamic_resources": {
            "ads_config": {**xds_source("DELTA_GRPC"), "set_node_on_first_message_only": True},
            "cds_config": ADS,
            "lds_config": {
                "path_config_source": {"path": listeners},
                "resource_api_version": "V3",
            },
        },
        "cluster_manager": {"load_stats_config": xds_source("GRPC")},
        "static_resources": {
            "clusters": [
                pipe_cluster("xds", xds, http2=True),
                pipe_cluster("activator", activator, http2=False),
                hold_cluster("hold", "http"),
                hold_cluster("hold-h2", "http2"),
            ],
            "listeners": [_cold("cold", "hold", mark), _cold("cold-h2", "hold-h2", mark)],
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
    manager = make_manager(
        name,
        http_filters=[_hold_filter(), _WHOSE, make_router(COLD_ROUTER)],
        route_config=routes,
        use_remote_address=False,
        skip_xff_append=True,
        generate_request_id=False,
        access_log=[_ends(), _first_bytes()],
        local_reply_config={
            "mappers": [
                _activator_died(mark),
                _reply_text(),
                _hold_failed(mark),
                ended_early(),
                timed_out(),
            ]
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
              "traceparent", "hearth-timing", "x-envoy-attempt-count",
              SLOT_HEADER, START_HEADER)  # fmt: skip
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
                        "patterns": [
                            {"exact": name}
                            for name in (STATUS_HEADER, MESSAGE_HEADER, ANSWER_HEADER)
                        ]
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
