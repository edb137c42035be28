"""The listeners for requests: plain and over TLS, from outside and from inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hearth.api.config import Tracing
from hearth.gateway.hosts import LOWER_HOST
from hearth.gateway.observing import EDGE_ROUTER, ROUTER, make_tracing
from hearth.gateway.translate import (
    ADS,
    SAFE_METHODS,
    SAFE_RETRY_HEADER,
    TYPES,
)

Config = dict[str, Any]
Address = tuple[str, int]

NO_SNI = "no-server-name"  #: what a client asks for that asks for no name
_SILENT_CLIENT = "300s"  #: a connection without any request is ended
_BACKLOG = 4096  #: connections that may wait, as they do while there is no Envoy
_EDGES = ("edge", "https", "inside", "inside-https")  #: names of the listeners for requests


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where requests arrive."""

    edge: Address  #: from outside
    https: Address  #: from outside, over TLS
    inside: Address  #: from inside; may be for cluster-local hosts
    inside_https: Address  #: likewise, over TLS

    @property
    def by_name(self) -> dict[str, list[Any]]:
        """Host and port of each listener."""
        each = zip(_EDGES, (self.edge, self.https, self.inside, self.inside_https), strict=True)
        return {name: list(address) for name, address in each}


def make_listeners(
    addresses: Addresses,
    *,
    headers_timeout_s: float = 60.0,
    body_timeout_s: float = 3600.0,
    tracing: Tracing | None = None,
) -> Config:
    """The listeners for requests, as the file that the bootstrap names.

    They are in a file because traces are a matter of listeners, which Envoy replaces only if they
    have been discovered. What changes then ends no connection at once: see ``envoy``.

    Args:
        addresses: where they listen.
        headers_timeout_s: for a request's headers to be whole.
        body_timeout_s: for a request to be whole, unless it is answered before.
        tracing: where spans are sent.
    """
    timeouts = _timeouts(headers_timeout_s, body_timeout_s)
    outside = {"tracing": make_tracing(tracing)} if tracing is not None else {}
    inside = {**outside, "preserve_external_request_id": True}  # pods are trusted with that
    made = [
        _edge("edge", addresses.edge, timeouts, outside, fragments=1),
        _edge("https", addresses.https, timeouts, outside, fragments=1, tls=True),
        _edge("inside", addresses.inside, timeouts, inside, fragments=2),
        _edge("inside-https", addresses.inside_https, timeouts, inside, fragments=2, tls=True),
    ]
    return {"resources": [{"@type": f"{TYPES}.config.listener.v3.Listener", **m} for m in made]}


def _timeouts(headers_s: float, whole_s: float) -> Config:
    return {"request_headers_timeout": f"{headers_s:g}s", "request_timeout": f"{whole_s:g}s"}


def make_manager(prefix: str, **fields: Any) -> Config:
    """A network filter that speaks HTTP; ``prefix`` names its figures."""
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


def make_router(name: str) -> Config:
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
    name: str, address: Address, timeouts: Config, own: Config, *, fragments: int, tls: bool = False
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
    manager = make_manager(
        name,
        http_filters=[LOWER_HOST, _safe_retries(), make_router(EDGE_ROUTER)],
        use_remote_address=True,
        normalize_path=False,
        **timeouts,
        scoped_routes={
            "name": "hearth",
            "scope_key_builder": {"fragments": [by_host] * fragments},
            "rds_config_source": ADS,
            "scoped_rds": {"scoped_rds_config_source": ADS},
        },
        local_reply_config={"mappers": [not_found, timed_out(), ended_early(), _unreachable()]},
        request_id_extension=_REQUEST_IDS,
        **own,
    )
    chain = {"filters": [manager]}
    return {
        "name": name,
        "address": {"socket_address": {"address": address[0], "port_value": address[1]}},
        "freebind": True,  # the network of pods may come after Envoy
        "tcp_backlog_size": _BACKLOG,
        **(_told_apart({**chain, **_tls()}, name, timeouts) if tls else {"filter_chains": [chain]}),
    }


#: A request's ID is that and nothing else: whether it is traced is not written into it.
_REQUEST_IDS = {
    "typed_config": {
        "@type": f"{TYPES}.extensions.request_id.uuid.v3.UuidRequestIdConfig",
        "pack_trace_reason": False,
        "use_request_id_for_trace_sampling": False,
    }
}


def _told_apart(secure: Config, name: str, timeouts: Config) -> Config:
    """A TLS port's chains: who speaks plain HTTP to it is sent to the same place by ``https``."""
    routes = [{"match": {"prefix": "/"}, "redirect": {"https_redirect": True}}]
    manager = make_manager(
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


def timed_out() -> Config:
    """Knative's answer when a request took too long: in all, to its first byte, or between two."""
    return {
        "filter": {"response_flag_filter": {"flags": ["UT", "DT", "SI"]}},
        "status_code": 504,
        "body_format_override": {"text_format_source": {"inline_string": "request timeout\n"}},
    }


def ended_early() -> Config:
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
