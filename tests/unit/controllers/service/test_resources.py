from hearth.controllers.service.resources import make_configuration, make_route

SERVICE = {
    "apiVersion": "serving.knative.dev/v1",
    "kind": "Service",
    "metadata": {
        "name": "hello",
        "namespace": "default",
        "uid": "s",
        "labels": {"team": "blue", "hearth.dev/shard": "two"},
        "annotations": {
            "serving.knative.dev/creator": "me",
            "serving.knative.dev/rollout-duration": "10s",
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
        },
    },
    "spec": {
        "template": {"spec": {"containers": [{"image": "a"}]}},
        "traffic": [{"latestRevision": True, "percent": 90}, {"revisionName": "x", "percent": 10}],
    },
}
OWNER = {
    "apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "hello", "uid": "s",
    "controller": True, "blockOwnerDeletion": True,
}  # fmt: skip


def test_the_configuration_has_the_template_and_who_it_belongs_to():
    made = make_configuration(SERVICE)
    assert made["spec"] == {"template": SERVICE["spec"]["template"]}
    assert made["metadata"] == {
        "name": "hello",
        "namespace": "default",
        "ownerReferences": [OWNER],
        "labels": {
            "team": "blue",
            "hearth.dev/shard": "two",
            "serving.knative.dev/service": "hello",
            "serving.knative.dev/serviceUID": "s",
        },
        "annotations": {
            "serving.knative.dev/creator": "me",
            "serving.knative.dev/routes": "hello",
        },
    }


def test_the_configuration_keeps_other_routes_that_refer_to_it():
    existing = {"metadata": {"annotations": {"serving.knative.dev/routes": "zoo,hello"}}}
    annotations = make_configuration(SERVICE, existing)["metadata"]["annotations"]
    assert annotations["serving.knative.dev/routes"] == "hello,zoo"


def test_the_route_sends_what_names_no_revision_to_the_services_configuration():
    made = make_route(SERVICE)
    assert made["spec"]["traffic"] == [
        {"latestRevision": True, "percent": 90, "configurationName": "hello"},
        {"revisionName": "x", "percent": 10},
    ]
    assert made["metadata"]["labels"]["serving.knative.dev/service"] == "hello"
    assert made["metadata"]["annotations"]["serving.knative.dev/rollout-duration"] == "10s"
    assert made["metadata"]["ownerReferences"] == [OWNER]
