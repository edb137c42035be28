from dataclasses import replace

from hearth.api.config import NetworkConfig, read_network
from hearth.controllers.route.core.certificates import route_certificates
from hearth.controllers.route.core.domains import Domain

DOMAIN = Domain("example.com", 80, network=NetworkConfig(external_domain_tls=True))


def route(**labels):
    meta = {"name": "hello", "namespace": "n", "uid": "1-2", "labels": labels}
    return {"apiVersion": "serving.knative.dev/v1", "kind": "Route", "metadata": meta}


def named(found):
    return {one["metadata"]["name"]: one["spec"]["dnsNames"] for one in found}


def test_each_host_has_its_own_under_knatives_name():
    assert named(route_certificates(route(), ["", "v1"], DOMAIN)) == {
        "route-1-2": ["hello.n.example.com"],
        "route-1-2-18809000": ["v1-hello.n.example.com"],
    }


def test_there_are_none_without_tls_or_for_what_is_reached_from_inside():
    assert route_certificates(route(), [], Domain("example.com", 80)) == []
    local = route(**{"networking.knative.dev/visibility": "cluster-local"})
    assert route_certificates(local, [], DOMAIN) == []


def test_a_host_that_cannot_be_named_has_none():
    network = read_network({"external-domain-tls": "Enabled", "domain-template": "a_b.{{.Domain}}"})
    assert route_certificates(route(), [], replace(DOMAIN, network=network)) == []
