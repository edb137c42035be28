"""The bootstrap is one that Envoy's own messages take, and says what it must."""

from __future__ import annotations

# Known by name while the bootstrap is parsed:
import envoy.extensions.access_loggers.grpc.v3.als_pb2
import envoy.extensions.bootstrap.internal_listener.v3.internal_listener_pb2
import envoy.extensions.common.matching.v3.extension_matcher_pb2
import envoy.extensions.filters.common.matcher.action.v3.skip_action_pb2
import envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2
import envoy.extensions.filters.http.header_mutation.v3.header_mutation_pb2
import envoy.extensions.filters.http.lua.v3.lua_pb2
import envoy.extensions.filters.http.router.v3.router_pb2
import envoy.extensions.filters.http.set_filter_state.v3.set_filter_state_pb2
import envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2
import envoy.extensions.request_id.uuid.v3.uuid_pb2
import envoy.extensions.upstreams.http.v3.http_protocol_options_pb2
import envoy.type.matcher.v3.http_inputs_pb2
import pytest
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)
from google.protobuf.json_format import ParseDict

from hearth.gateway.bootstrap import (
    ANSWER_HEADER,
    MESSAGE_HEADER,
    REPLY_STATUSES,
    SECURE_HEADER,
    STATUS_HEADER,
    make_bootstrap,
)
from hearth.gateway.listeners import Addresses, make_listeners
from hearth.gateway.translate import OWN_HEADERS, RETRY_HEADER

ADDRESSES = Addresses(
    edge=("127.0.0.1", 8080),
    https=("127.0.0.1", 8443),
    inside=("127.0.0.2", 8081),
    inside_https=("127.0.0.2", 8444),
)


@pytest.fixture(scope="module")
def bootstrap():
    wire = make_bootstrap(
        name="g1",
        addresses=ADDRESSES,
        listeners="/run/l.json",
        xds="/run/xds",
        activator="/run/act",
        admin="/run/a",
        mark="mark",
    )
    found = make_listeners(ADDRESSES)["resources"]  # from their file
    found = [{k: v for k, v in each.items() if k != "@type"} for each in found]
    wire["static_resources"]["listeners"][:0] = found
    for listener in wire["static_resources"]["listeners"]:
        listener["filter_chains"][0].pop("transport_socket", None)  # of a type not known here
        for one in listener["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]:
            one.get("typed_config", {}).pop(
                "clear_route_cache", None
            )  # likewise, of set_filter_state
    return ParseDict(wire, Bootstrap())


def managers(bootstrap):
    """The HTTP connection manager of every listener, by the listener's name."""
    found = {}
    for listener in bootstrap.static_resources.listeners:
        manager = hcm.HttpConnectionManager()
        listener.filter_chains[0].filters[0].typed_config.Unpack(manager)
        found[listener.name] = manager
    return found


def test_everything_but_the_edge_is_within_the_machine(bootstrap):
    edge, https, inside, inside_https, *others = bootstrap.static_resources.listeners
    address = edge.address.socket_address
    assert (edge.name, address.address, address.port_value) == ("edge", "127.0.0.1", 8080)
    address = https.address.socket_address
    assert (https.name, address.address, address.port_value) == ("https", "127.0.0.1", 8443)
    address = inside.address.socket_address
    assert (inside.name, address.address, address.port_value) == ("inside", "127.0.0.2", 8081)
    address = inside_https.address.socket_address
    assert (inside_https.name, address.port_value) == ("inside-https", 8444)
    assert [(o.name, o.WhichOneof("listener_specifier")) for o in others] == [
        ("cold", "internal_listener"),
        ("cold-h2", "internal_listener"),
    ]
    assert bootstrap.admin.address.pipe.path == "/run/a"
    pipes = {
        cluster.name: endpoint.endpoint.address.pipe.path
        for cluster in bootstrap.static_resources.clusters
        for locality in cluster.load_assignment.endpoints
        for endpoint in locality.lb_endpoints
    }
    assert pipes == {"xds": "/run/xds", "activator": "/run/act"}


def test_the_edge_asks_for_its_routes_and_the_node_says_its_name(bootstrap):
    edge = managers(bootstrap)["edge"]
    assert edge.WhichOneof("route_specifier") == "scoped_routes"
    assert edge.use_remote_address.value
    assert bootstrap.node.id == "g1"


@pytest.mark.parametrize(
    ("listener", "hold"),
    [pytest.param("cold", "hold", id="http1"), pytest.param("cold-h2", "hold-h2", id="http2")],
)
def test_a_held_request_is_answered_in_words_or_sent_on(bootstrap, listener, hold):
    manager = managers(bootstrap)[listener]
    *replies, secure, send = manager.route_config.virtual_hosts[0].routes
    answered = {
        reply.match.headers[0].string_match.exact: reply.direct_response.status for reply in replies
    }
    assert answered == {str(status): status for status in REPLY_STATUSES}
    assert {reply.match.headers[0].name for reply in replies} == {STATUS_HEADER}
    assert send.route.cluster == hold
    assert not send.match.headers
    assert secure.route.cluster == hold.replace("hold", "hold-tls")
    assert secure.match.dynamic_metadata[0].path[0].key == SECURE_HEADER


def test_the_check_comes_before_the_router_and_never_lets_pass_by_mistake(bootstrap):
    for name in ("cold", "cold-h2"):
        first, _, last = managers(bootstrap)[name].http_filters
        assert (last.name, last.HasField("config_discovery")) == ("cold-router", True)
        check = envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2.ExtAuthz()
        first.typed_config.Unpack(check)
        assert not check.failure_mode_allow
        assert check.http_service.server_uri.cluster == "activator"
        upstream = check.http_service.authorization_response.allowed_upstream_headers
        assert {p.exact for p in upstream.patterns} == {
            STATUS_HEADER,
            MESSAGE_HEADER,
            ANSWER_HEADER,
        }


def test_a_client_cannot_use_the_headers_of_the_hold():
    assert {STATUS_HEADER, MESSAGE_HEADER, RETRY_HEADER} <= set(OWN_HEADERS)
