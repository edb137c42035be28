from hearth.controllers.configuration.resources import make_revision

AT = "2026-01-02T00:00:00Z"
K = "serving.knative.dev/"


def configuration(*, routes="hello", name="", labels=None):
    annotations = {K + "lastModifier": "me"} | ({K + "routes": routes} if routes else {})
    template = {
        "metadata": {"annotations": {"a": "1"}, "labels": {"app": "x"}},
        "spec": {"containers": [{"image": "a"}]},
    }
    if name:
        template["metadata"]["name"] = name
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Configuration",
        "metadata": {
            "name": "hello", "namespace": "default", "uid": "c", "generation": 12,
            "labels": labels or {}, "annotations": annotations,
        },
        "spec": {"template": template},
    }  # fmt: skip


def test_a_revision_carries_who_it_belongs_to():
    labels = {K + "service": "hello", K + "serviceUID": "s", "hearth.dev/shard": "two"}
    made = make_revision(configuration(labels=labels), AT)
    meta = made["metadata"]
    assert (meta["name"], made["spec"]) == ("hello-00012", {"containers": [{"image": "a"}]})
    assert meta["labels"] == {
        "app": "x",
        **labels,
        K + "configuration": "hello",
        K + "configurationUID": "c",
        K + "configurationGeneration": "12",
        K + "routingState": "active",
    }
    assert meta["annotations"] == {
        "a": "1",
        K + "creator": "me",
        K + "routes": "hello",
        K + "routingStateModified": AT,
    }
    assert [owner["uid"] for owner in meta["ownerReferences"]] == ["c"]


def test_without_a_route_it_is_pending_and_without_a_service_it_names_none():
    meta = make_revision(configuration(routes=""), AT)["metadata"]
    assert meta["labels"][K + "routingState"] == "pending"
    assert K + "service" not in meta["labels"] and K + "routes" not in meta["annotations"]


def test_a_name_of_the_users_own_is_kept():
    assert make_revision(configuration(name="hello-blue"), AT)["metadata"]["name"] == "hello-blue"
