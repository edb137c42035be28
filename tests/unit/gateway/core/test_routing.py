from hearth.api.meta import ObjectKey
from hearth.gateway.core.routing import (
    Mapped,
    cluster_name,
    make_backend,
    make_endpoints,
    make_mapped,
    make_routing,
    parse_cluster_name,
    shares,
)

KEY = ObjectKey("root", "default", "hello-00001")


def revision(port=None, **spec):
    container = {"ports": [port]} if port else {}
    return {"spec": {"containers": [container], **spec}}


def route(*traffic):
    return {
        "metadata": {"name": "hello", "namespace": "default"},
        "status": {"url": "http://hello.default.localhost:8080", "traffic": list(traffic)},
    }


def target(name, percent=None, tag=None):
    url = f"http://{tag}-hello.default.localhost:8080" if tag else None
    return {"revisionName": name, "percent": percent, "tag": tag, "url": url}


def routing(*traffic, known=("hello-00001", "hello-00002"), mappings=(), **status):
    def find(key):
        return revision(timeoutSeconds=100 if key.name.endswith("1") else 200) if (
            key.name in known
        ) else None  # fmt: skip

    wire = route(*traffic)
    wire["status"] |= status
    return make_routing(wire, "root", find, mappings)


def pod(ip, *, ready="True", deleting=False, revision_name="hello-00001"):
    meta = {"labels": {"serving.knative.dev/revision": revision_name}}
    if deleting:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    conditions = [{"type": "Ready", "status": ready}]
    status = {"phase": "Running", "podIP": ip, "conditions": conditions}
    return {"metadata": meta, "spec": {}, "status": status}


def test_a_clusters_name_leads_back_to_its_revision():
    assert parse_cluster_name(cluster_name(KEY)) == KEY


def test_traffic_becomes_weights_under_all_names_of_the_service():
    found = routing(target("hello-00001", 80), target("hello-00002", 20))
    [host] = found.hosts
    assert [(w.backend.key.name, w.percent) for w in host.weights] == [
        ("hello-00001", 80),
        ("hello-00002", 20),
    ]
    assert host.domains[0] == "hello.default.localhost"
    assert "hello.default.svc.cluster.local" in host.domains
    assert len(found.backends) == 2
    assert [(w.backend.answer_s, upto) for upto, [w] in shares(host.weights)] == [
        (100, 80),
        (200, 100),
    ]
    assert found.name == "root/default/hello"


def test_a_tag_is_a_host_of_its_own_also_without_a_share():
    found = routing(target("hello-00001", 100), target("hello-00002", tag="next"))
    assert [host.domains[0] for host in found.hosts] == [
        "hello.default.localhost",
        "next-hello.default.localhost",
    ]


def test_a_route_waits_for_revisions_that_are_not_known_yet():
    assert routing(target("hello-00001", 50), target("hello-00009", 50)) is None
    assert routing() is None


def test_a_port_named_h2c_makes_the_cluster_http2():
    assert make_backend(KEY, revision({"name": "h2c", "containerPort": 9000})).http2
    plain = make_backend(KEY, revision())
    assert (plain.http2, plain.port, plain.timeout_s) == (False, 8080, 300)


def test_only_pods_that_answer_are_endpoints():
    backend = make_backend(KEY, revision())
    pods = [pod("10.0.0.2"), pod("10.0.0.1"), pod("10.0.0.3", ready="False"),
            pod("10.0.0.4", deleting=True)]  # fmt: skip
    assert make_endpoints(backend, pods).addresses == (("10.0.0.1", 8080), ("10.0.0.2", 8080))


def test_what_is_cluster_local_has_no_name_outside():
    local = "http://hello.default.svc.cluster.local"
    found = routing(target("hello-00001", 100), url=local)
    [host] = found.hosts
    assert host.public == ""
    assert host.domains == ("hello.default.svc.cluster.local", "hello.default.svc", "hello.default")


def test_a_tags_header_is_for_all_names_of_the_route_where_its_status_says_so():
    traffic = (target("hello-00001", 100), target("hello-00002", 0, "next"))
    mapped = Mapped("shop.example.com", KEY._replace(name="hello"), False)
    enabled = {"hearth.dev/tag-headers": "enabled"}
    own, shop, tagged = routing(*traffic, mappings=[mapped], annotations=enabled).hosts
    [(tag, weights)] = own.by_tag
    assert (tag, weights, tagged.tag) == ("next", tagged.weights, "next")
    assert (shop.by_tag, tagged.by_tag) == (own.by_tag, ())
    own, tagged = routing(*traffic).hosts
    assert (own.by_tag, tagged.tag) == ((), "")


def test_a_tag_is_split_as_its_share_while_a_revision_is_rolled_out():
    old, new = target("hello-00001", 30, "next"), target("hello-00002", 20, "next")
    own, tagged = routing(old, new, target("hello-00001", 50)).hosts
    assert [(w.backend.key.name, w.percent) for w in tagged.weights] == [
        ("hello-00001", 30),
        ("hello-00002", 20),
    ]
    assert sum(weight.percent for weight in own.weights) == 100


def test_tags_are_named_inside_as_the_status_says():
    annotations = {"hearth.dev/tag-hosts": "next=hello-next"}
    found = routing(target("hello-00001", 100, tag="next"), annotations=annotations)
    assert "hello-next.default.svc.cluster.local" in found.hosts[1].internal
    assert found.hosts[1].public == "next-hello.default.localhost"


def mapping(*, claimed="True", target="hello", **annotations):
    conditions = [{"type": "DomainClaimed", "status": claimed}]
    annotations |= {"hearth.dev/target": target}
    status = {"conditions": conditions, "annotations": annotations}
    meta = {"name": "shop.example.com", "namespace": "default"}
    return {"metadata": meta, "status": status}


def test_a_domain_mapping_is_a_host_that_gets_the_routes_own_traffic():
    mapped = make_mapped(mapping(), "root")
    assert mapped.target == ObjectKey("root", "default", "hello")
    weights = (target("hello-00001", 80), target("hello-00002", 20), target("hello-00002", tag="t"))
    own, shop, tagged = routing(*weights, mappings=[mapped]).hosts
    assert (shop.public, shop.internal) == ("shop.example.com", ())
    assert shop.weights == own.weights != tagged.weights


def test_a_domain_mapping_without_its_claim_leads_nowhere():
    assert make_mapped(mapping(claimed="False"), "root") is None
    assert make_mapped(mapping(target=""), "root") is None


def test_plain_http_is_redirected_as_the_status_says():
    annotations = {"hearth.dev/http-protocol": "redirected"}
    mapped = make_mapped(mapping(), "root")
    own, shop = routing(
        target("hello-00001", 100), annotations=annotations, mappings=[mapped]
    ).hosts
    assert (own.redirected, shop.redirected) == (True, False)


def secured(ip, answers="True"):
    found = pod(ip)
    found["status"]["conditions"].append({"type": "hearth.dev/TLS", "status": answers})
    return found


def test_over_tls_only_pods_for_which_it_is_answered_are_instances():
    pods = [secured("10.0.0.1"), secured("10.0.0.2", "False"), pod("10.0.0.3")]
    plain, secure = make_backend(KEY, revision()), make_backend(KEY, revision(), secure=True)
    assert len(make_endpoints(plain, pods).addresses) == 3
    found = make_endpoints(secure, pods)
    assert (found.addresses, found.secure) == ((("10.0.0.1", 8080),), True)
    assert found.name != make_endpoints(plain, pods).name, "Envoy goes over to others at once"
