import pytest

from hearth.controllers.route.core.domains import Domain
from hearth.controllers.route.core.placeholders import (
    as_local,
    brought_up_to_date,
    local_tags,
    make_placeholders,
)
from hearth.controllers.route.core.traffic import Target

DOMAIN = Domain("localhost", 80)
LOCAL = {"networking.knative.dev/visibility": "cluster-local"}
TARGETS = [Target("r1", 100, False), Target("r2", 0, False, "b"), Target("r1", 0, False, "a")]


def route(**labels):
    meta = {
        "name": "hello", "namespace": "default", "uid": "u", "labels": labels,
        "annotations": {"mine": "1", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
    }  # fmt: skip
    return {"apiVersion": "serving.knative.dev/v1", "kind": "Route", "metadata": meta}


def test_the_route_and_each_tag_have_one_that_says_what_the_route_says():
    own, *tags = make_placeholders(route(team="a", **LOCAL), TARGETS, DOMAIN)
    assert [one["metadata"]["name"] for one in tags] == ["a-hello", "b-hello"]
    meta = own["metadata"]
    assert (meta["name"], meta["namespace"]) == ("hello", "default")
    assert meta["labels"] == {"team": "a", "serving.knative.dev/route": "hello"}
    assert meta["annotations"] == {"mine": "1"}
    assert meta["ownerReferences"][0]["uid"] == "u"
    assert own["spec"]["type"] == "ExternalName"
    assert own["spec"]["externalName"] == "hello.default.svc.cluster.local"
    [own] = make_placeholders(route(), TARGETS[:1], DOMAIN)
    assert own["spec"]["externalName"] == "hello.default.localhost"


@pytest.mark.parametrize(
    ("labels", "spec", "want"),
    [
        pytest.param({}, {}, None, id="as-it-was-made"),
        pytest.param(LOCAL, {"clusterIP": ""}, None, id="with-what-others-added"),
        pytest.param({"serving.knative.dev/route": "x"}, {}, "hello", id="a-label-of-ours"),
        pytest.param({}, {"externalName": "x"}, "hello", id="another-host"),
    ],
)
def test_what_users_add_stays_and_what_we_say_comes_back(labels, spec, want):
    [desired] = make_placeholders(route(), TARGETS[:1], DOMAIN)
    meta = {**desired["metadata"], "labels": {**desired["metadata"]["labels"], **labels}}
    existing = {**desired, "metadata": meta, "spec": {**desired["spec"], **spec}}
    changed = brought_up_to_date(existing, desired)
    assert (changed is None) == (want is None)
    if changed is not None:
        assert changed["metadata"]["labels"]["serving.knative.dev/route"] == want
        assert changed["spec"]["externalName"] == "hello.default.localhost"


def test_a_tag_is_local_where_the_routes_own_placeholder_is_labelled_so():
    own, first, second = make_placeholders(route(), TARGETS, DOMAIN)
    first["metadata"]["labels"] |= LOCAL
    second["metadata"] |= {"labels": LOCAL, "ownerReferences": []}
    assert local_tags(route(), ["a", "b"], [own, first, second], DOMAIN) == {"a"}
    assert DOMAIN.url(as_local(route()), "a") == "http://a-hello.default.svc.cluster.local"
