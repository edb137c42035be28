from dataclasses import replace

import pytest
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import UpstreamTlsContext
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions

from hearth.api.meta import ObjectKey
from hearth.gateway.core.routing import Backend, Endpoints, Host, Routing, Weight
from hearth.gateway.translate import (
    OWN_HEADERS,
    RETRY_HEADER,
    make_cluster,
    make_hold_clusters,
    make_load_assignment,
    make_route_configuration,
    make_scopes,
    trust_name,
)


def backend(name="hello-00001", *, http2=False, timeout_s=300):
    return Backend(ObjectKey("acme", "default", name), http2, timeout_s, 8080)


def routing():
    weights = (Weight(backend(), 80), Weight(backend("hello-00002", timeout_s=600), 20))
    hosts = (
        Host("hello", "hello.default.localhost", ("hello.default",), weights),
        Host("next-hello", "", ("next-hello.default",), (Weight(backend(), 100),)),
    )
    return Routing(ObjectKey("acme", "default", "hello"), hosts)


@pytest.mark.parametrize("http2", [pytest.param(False, id="http1"), pytest.param(True, id="http2")])
def test_a_revision_is_a_cluster_that_speaks_what_its_port_is_named(http2):
    cluster = make_cluster(backend(http2=http2), "mark")
    assert cluster.name == "acme/default/hello-00001"
    assert cluster.type == cluster.EDS
    [packed] = cluster.typed_extension_protocol_options.values()
    options = HttpProtocolOptions()
    assert packed.Unpack(options)
    assert options.explicit_http_config.HasField("http2_protocol_options") == http2
    assert cluster.circuit_breakers.thresholds[0].max_pending_requests.value >= 20_000


def shown(assignment):
    """(priority, zone, address or listener) of every endpoint."""
    found = []
    for locality in assignment.endpoints:
        for each in locality.lb_endpoints:
            address = each.endpoint.address
            where = address.socket_address.address or (
                address.envoy_internal_address.server_listener_name
            )
            found.append((locality.priority, locality.locality.zone, where))
    return found


@pytest.mark.parametrize(
    ("http2", "ips", "want"),
    [
        pytest.param(False, (), [(0, "cold", "cold")], id="none-are-held"),
        pytest.param(True, (), [(0, "cold", "cold-h2")], id="none-are-held-http2"),
        pytest.param(
            False, ("10.0.0.1", "10.0.0.2"),
            [(0, "pods", "10.0.0.1"), (0, "pods", "10.0.0.2"), (1, "cold", "cold")],
            id="instances-come-before-the-hold",
        ),
    ],
)  # fmt: skip
def test_requests_go_to_instances_and_are_held_without_any(http2, ips, want):
    name = "acme/default/hello-00001"
    addresses = tuple((ip, 8080) for ip in ips)
    assignment = make_load_assignment(Endpoints(name, http2, addresses))
    assert assignment.cluster_name == name
    assert shown(assignment) == want
    priorities = sorted({priority for priority, _, _ in want})
    assert priorities == list(range(len(priorities)))


def test_a_route_is_a_virtual_host_a_name_with_its_weights_and_timeout():
    found = make_route_configuration(routing(), "mark")
    assert found.name == "acme/default/hello"
    assert [list(host.domains) for host in found.virtual_hosts] == [
        ["hello.default.localhost", "hello.default"],
        ["next-hello.default"],
    ]

    def seen(route):
        share = route.match.runtime_fraction.default_value.numerator
        clusters = [c.name.rpartition("/")[2] for c in route.route.weighted_clusters.clusters]
        return clusters, share, route.route.retry_policy.per_try_timeout.seconds

    shares = [(["hello-00001"], 80, 300)] * 2 + [(["hello-00002"], 0, 600)] * 2
    assert list(map(seen, found.virtual_hosts[0].routes)) == shares


def test_what_is_reached_from_inside_is_not_redirected_nor_left_without_a_name():
    hosts = tuple(replace(host, redirected=True) for host in routing().hosts)
    found = make_route_configuration(replace(routing(), hosts=hosts), "mark")
    named = {one.name: (list(one.domains), one.routes[0]) for one in found.virtual_hosts}
    redirects = {name: first.HasField("redirect") for name, (_, first) in named.items()}
    assert redirects == {"hello": True, "hello inside": False, "next-hello": False}
    assert [domains for domains, _ in named.values()] == [
        ["hello.default.localhost"], ["hello.default"], ["next-hello.default"],
    ]  # fmt: skip


def test_a_tags_header_is_looked_at_first():
    tagged = (Weight(backend("hello-00002"), 100),)
    host = Host("hello", "", ("hello.default",), (Weight(backend(), 100),))
    host = replace(host, by_tag=(("next", tagged),))
    [found] = make_route_configuration(
        Routing(ObjectKey("acme", "default", "hello"), (host,)), "mark"
    ).virtual_hosts

    def seen(route):
        [cluster] = route.route.weighted_clusters.clusters
        headers = {one.name: one.string_match.exact for one in route.match.headers}
        added = [one.header.key for one in route.request_headers_to_add]
        return cluster.name.rpartition("/")[2], headers.get("knative-serving-tag"), added

    picked = ("hello-00002", "next", [])
    default = ("hello-00001", None, ["knative-serving-default-route"])
    assert [seen(route) for route in found.routes] == [picked] * 2 + [default] * 2


def test_a_websocket_may_be_silent_for_as_long_as_an_answer_may_take():
    def idle(**limits):
        weights = (Weight(replace(backend(), **limits), 100),)
        host = Host("hello", "", ("hello.default",), weights)
        key = ObjectKey("acme", "default", "hello")
        [found] = make_route_configuration(Routing(key, (host,)), "mark").virtual_hosts
        [upgrade] = found.routes[0].match.headers
        assert (upgrade.name, upgrade.string_match.exact) == ("upgrade", "websocket")
        return [route.route.idle_timeout.seconds for route in found.routes]

    assert idle(timeout_s=300) == [300, 0]
    assert idle(timeout_s=300, start_s=10) == [10, 0]
    assert idle(timeout_s=300, idle_s=20) == [20, 20]


def test_no_client_can_say_which_revision_it_wants_or_how_it_is_answered():
    host = make_route_configuration(routing(), "mark").virtual_hosts[0]
    [first] = host.routes[0].route.weighted_clusters.clusters
    overwritten = {h.header.key: h.header.value for h in first.request_headers_to_add}
    assert overwritten == {
        "knative-serving-namespace": "default",
        "knative-serving-revision": "hello-00001",
        "hearth-tenant": "acme",
        "hearth-start": "%START_TIME(%s.%3f)%",
    }
    actions = {h.append_action for h in first.request_headers_to_add}
    assert actions == {first.request_headers_to_add[0].OVERWRITE_IF_EXISTS_OR_ADD}
    removed = {*host.request_headers_to_remove, *first.request_headers_to_remove}
    assert removed | set(overwritten) == set(OWN_HEADERS)


def test_a_request_that_an_app_may_have_seen_is_not_repeated_by_its_route():
    for route in make_route_configuration(routing(), "mark").virtual_hosts[0].routes:
        policy = route.route.retry_policy
        unseen = {"connect-failure", "refused-stream", "reset-before-request", "retriable-headers"}
        assert set(policy.retry_on.split(",")) == unseen
        [header] = policy.retriable_headers
        assert (header.name, header.string_match.exact) == (RETRY_HEADER, "mark")


def test_what_asks_for_another_try_is_not_shown_to_clients():
    host = make_route_configuration(routing(), "mark").virtual_hosts[0]
    assert list(host.response_headers_to_remove) == [RETRY_HEADER]


def test_every_name_of_a_route_leads_to_its_configuration():
    scopes = make_scopes(routing())
    for scope in scopes.values():
        assert scope.route_configuration_name == "acme/default/hello"
    keys = sorted([f.string_key for f in scope.key.fragments] for scope in scopes.values())
    outside, inside = ["hello.default.localhost"], ["hello.default", "next-hello.default"]
    assert [key for key in keys if len(key) == 1] == [outside]
    assert [key for key in keys if len(key) == 2] == [[h, h] for h in sorted(outside + inside)]


def tls_of(cluster):
    [match] = cluster.transport_socket_matches
    context = UpstreamTlsContext()
    match.transport_socket.typed_config.Unpack(context)
    return context


def test_an_instance_must_prove_that_it_is_of_the_revisions_namespace():
    assert not make_cluster(backend(), "mark").transport_socket_matches
    cluster = make_cluster(replace(backend(), secure=True), "mark")
    context = tls_of(cluster)
    combined = context.common_tls_context.combined_validation_context
    names = combined.default_validation_context.match_typed_subject_alt_names
    assert [one.matcher.exact for one in names] == ["kn-user-default"] == [context.sni]
    assert combined.validation_context_sds_secret_config.name == trust_name("mark")
    assert cluster.eds_cluster_config.service_name == replace(backend(), secure=True).endpoints


def test_instances_are_marked_for_tls_and_the_hold_is_not():
    endpoints = Endpoints("tls/a/b/c", False, (("10.0.0.1", 8080),), secure=True)
    pods, cold = make_load_assignment(endpoints).endpoints
    [instance], [hold] = pods.lb_endpoints, cold.lb_endpoints
    assert instance.endpoint.address.socket_address.port_value == 8112
    assert instance.metadata.filter_metadata["envoy.transport_socket_match"]["tls"] is True
    assert not hold.HasField("metadata")


def test_requests_are_let_go_from_the_hold_over_tls_to_whom_the_authority_knows():
    for name, cluster in make_hold_clusters("mark").items():
        context = UpstreamTlsContext()
        assert cluster.transport_socket.typed_config.Unpack(context), name
        assert context.common_tls_context.validation_context_sds_secret_config.name == trust_name(
            "mark"
        )
