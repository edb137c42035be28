import pytest

from hearth.api.patches import merge_patch
from hearth.cli.core.template import Blob, Port, Scale, Wanted, new_service, service_patch

CODE = Blob("hearth:///namespaces/default/packages/sha256:aa", "sha256:aa")
LAYER = Blob("hearth:///namespaces/default/packages/sha256:bb", "sha256:bb")
IMAGE = "hearth.dev/runtimes/python"


def wanted(**given):
    return Wanted(image=IMAGE, code=CODE, **given)


def template_of(service):
    return service["spec"]["template"]


def test_a_new_service_holds_what_was_given_and_nothing_else():
    assert new_service("hello", "team", wanted()) == {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": "hello", "namespace": "team"},
        "spec": {
            "template": {
                "metadata": {
                    "annotations": {
                        "hearth.dev/code": CODE.url,
                        "hearth.dev/code-digest": CODE.digest,
                    }
                },
                "spec": {"containers": [{"name": "user-container", "image": IMAGE}]},
            }
        },
    }


def test_every_option_finds_its_field():
    service = new_service(
        "hello",
        "team",
        wanted(
            layer=LAYER,
            env={"A": "1"},
            annotations={"x/y": "z"},
            scale=Scale(1, 5, 0),
            port=Port(9000, "h2c"),
            concurrency=10,
            timeout_s=30,
            revision_name="hello-blue",
        ),
    )
    template = template_of(service)
    assert template["metadata"]["name"] == "hello-blue"
    assert template["metadata"]["annotations"] == {
        "hearth.dev/code": CODE.url,
        "hearth.dev/code-digest": CODE.digest,
        "hearth.dev/layer": LAYER.url,
        "hearth.dev/layer-digest": LAYER.digest,
        "autoscaling.knative.dev/min-scale": "1",
        "autoscaling.knative.dev/max-scale": "5",
        "autoscaling.knative.dev/initial-scale": "0",
        "x/y": "z",
    }
    assert template["spec"]["containerConcurrency"] == 10
    assert template["spec"]["timeoutSeconds"] == 30
    [container] = template["spec"]["containers"]
    assert container["ports"] == [{"name": "h2c", "containerPort": 9000}]
    assert container["env"] == [{"name": "A", "value": "1"}]


EXISTING = {
    "metadata": {"name": "hello", "resourceVersion": "7", "labels": {"team": "a"}},
    "spec": {
        "template": {
            "metadata": {
                "name": "hello-blue",
                "annotations": {
                    "autoscaling.knative.dev/min-scale": "2",
                    "hearth.dev/layer": LAYER.url,
                    "hearth.dev/layer-digest": LAYER.digest,
                    "other/tool": "yes",
                },
            },
            "spec": {
                "timeoutSeconds": 30,
                "containers": [
                    {"name": "sidecar", "image": "other"},
                    {
                        "name": "main",
                        "image": "old",
                        "ports": [{"containerPort": 9000}],
                        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                        "resources": {"limits": {"memory": "1Gi"}},
                    },
                ],
            },
        },
        "traffic": [
            {"latestRevision": True, "percent": 60},
            {"revisionName": "hello-00001", "latestRevision": False, "percent": 40},
        ],
    },
    "status": {"latestReadyRevisionName": "hello-00003"},
}


def deployed(**given):
    return merge_patch(EXISTING, service_patch(EXISTING, wanted(**given)))


def test_what_others_set_stays():
    service = deployed()
    template = template_of(service)
    assert template["metadata"]["annotations"] == {
        "autoscaling.knative.dev/min-scale": "2",
        "other/tool": "yes",
        "hearth.dev/code": CODE.url,
        "hearth.dev/code-digest": CODE.digest,
    }
    assert template["spec"]["timeoutSeconds"] == 30
    sidecar, main = template["spec"]["containers"]
    assert sidecar == EXISTING["spec"]["template"]["spec"]["containers"][0]
    assert main == {**EXISTING["spec"]["template"]["spec"]["containers"][1], "image": IMAGE}
    assert service["spec"]["traffic"] == EXISTING["spec"]["traffic"]
    assert service["metadata"]["labels"] == {"team": "a"}


def test_a_revision_name_of_before_is_not_used_again():
    assert "name" not in template_of(deployed())["metadata"]


def test_variables_are_added_changed_and_removed_by_name():
    [_, main] = template_of(deployed(env={"A": None, "B": "3", "C": "4"}))["spec"]["containers"]
    assert main["env"] == [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]


def test_a_write_in_between_is_a_conflict():
    assert service_patch(EXISTING, wanted())["metadata"] == {"resourceVersion": "7"}


def test_pinned_traffic_stays_with_the_revision_that_is_the_latest_now():
    assert deployed(pin_traffic=True)["spec"]["traffic"] == [
        {"revisionName": "hello-00003", "latestRevision": False, "percent": 60},
        {"revisionName": "hello-00001", "latestRevision": False, "percent": 40},
    ]


def test_without_a_ready_revision_there_is_nothing_to_pin():
    unready = {**EXISTING, "status": {}}
    patch = service_patch(unready, wanted(pin_traffic=True))
    assert patch["spec"]["traffic"] == EXISTING["spec"]["traffic"]


@pytest.mark.parametrize("port", [Port(8080), Port(1, "http1")])
def test_a_port_without_protocol_has_no_name(port):
    [container] = template_of(new_service("a", "b", wanted(port=port)))["spec"]["containers"]
    assert container["ports"][0].get("name", "") == port.protocol
