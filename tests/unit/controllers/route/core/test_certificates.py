from dataclasses import replace

from hearth.api.config import NetworkConfig, read_network
from hearth.controllers.route.core.certificates import certificate_types, route_certificates
from hearth.controllers.route.core.domains import Domain

DOMAIN = Domain("example.com", 80, network=NetworkConfig(external_domain_tls=True))
INSIDE = Domain("example.com", 80, network=NetworkConfig(cluster_local_domain_tls=True))
NONE: frozenset[str] = frozenset()


def route(**labels):
    meta = {"name": "hello", "namespace": "n", "uid": "1-2", "labels": labels}
    return {"apiVersion": "serving.knative.dev/v1", "kind": "Route", "metadata": meta}


def named(found):
    return {one["metadata"]["name"]: one["spec"]["dnsNames"] for one in found}


def test_each_host_has_its_own_under_knatives_name():
    assert named(route_certificates(route(), ["", "v1"], NONE, DOMAIN)) == {
        "route-1-2": ["hello.n.example.com"],
        "route-1-2-18809000": ["v1-hello.n.example.com"],
    }


def test_there_are_none_without_tls_or_for_what_is_reached_from_inside():
    assert route_certificates(route(), [], NONE, Domain("example.com", 80)) == []
    local = route(**{"networking.knative.dev/visibility": "cluster-local"})
    assert route_certificates(local, [], NONE, DOMAIN) == []
    kept = route_certificates(route(), ["v1"], frozenset({""}), DOMAIN)
    assert named(kept) == {"route-1-2-18809000": ["v1-hello.n.example.com"]}


def test_inside_one_certificate_is_for_the_three_names_of_a_host():
    found = route_certificates(route(), ["v1"], frozenset({"v1"}), INSIDE)
    assert named(found) == {
        "route-1-2-local": ["hello.n", "hello.n.svc", "hello.n.svc.cluster.local"],
        "route-1-2-18809000-local": [
            "v1-hello.n",
            "v1-hello.n.svc",
            "v1-hello.n.svc.cluster.local",
        ],
    }
    assert {one["spec"]["domain"] for one in found} == {"svc.cluster.local"}
    label = "networking.knative.dev/certificate-type"
    assert {one["metadata"]["labels"][label] for one in found} == {"cluster-local-domain"}


def test_outside_and_inside_are_enabled_each_for_itself():
    both = NetworkConfig(external_domain_tls=True, cluster_local_domain_tls=True)
    off = route()
    name = "networking.knative.dev/disable-external-domain-tls"
    off["metadata"]["annotations"] = {name: "true"}
    assert certificate_types(route(), both) == {"external-domain", "cluster-local-domain"}
    assert certificate_types(off, both) == {"cluster-local-domain"}
    assert certificate_types(route(), NetworkConfig()) == NONE


def test_a_host_that_cannot_be_named_has_none():
    network = read_network({"external-domain-tls": "Enabled", "domain-template": "a_b.{{.Domain}}"})
    assert route_certificates(route(), [], NONE, replace(DOMAIN, network=network)) == []
