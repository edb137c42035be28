import pytest

from hearth.api.config import read_deployment
from hearth.controllers.revision.resources import (
    HASH_LABEL,
    brought_up_to_date,
    make_pod_spec,
    make_replica_set,
)

K = "serving.knative.dev/"


def revision(*containers, annotations=None, labels=None, **spec):
    given = containers or ({"name": "user-container", "image": "a"},)
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Revision",
        "metadata": {
            "name": "hello-00001",
            "namespace": "default",
            "uid": "r",
            "labels": {
                K + "service": "hello",
                K + "configuration": "hello",
                K + "routingState": "active",
                **(labels or {}),
            },
            "annotations": annotations or {},
        },
        "spec": {"containers": list(given), **spec},
    }


def test_a_replica_set_has_knatives_pod_labels_and_the_code():
    annotations = {
        "hearth.dev/code": "hearth:///x",
        "autoscaling.knative.dev/min-scale": "1",
        K + "routes": "hello",
        K + "routingStateModified": "now",
        K + "creator": "me",
    }
    made = make_replica_set(revision(annotations=annotations), 3)
    labels = {
        "app": "hello-00001",
        K + "service": "hello",
        K + "configuration": "hello",
        K + "revision": "hello-00001",
        K + "revisionUID": "r",
    }
    template = made["spec"]["template"]
    assert template["metadata"]["labels"] == labels
    assert template["metadata"]["annotations"] == {
        "hearth.dev/code": "hearth:///x",
        K + "creator": "me",
        "kubectl.kubernetes.io/default-container": "user-container",
    }
    assert made["spec"]["selector"] == {"matchLabels": {K + "revisionUID": "r"}}
    assert made["spec"]["replicas"] == 3
    assert made["metadata"]["name"] == "hello-00001"
    assert made["metadata"]["ownerReferences"][0]["uid"] == "r"
    assert made["metadata"]["labels"] == labels | {
        HASH_LABEL: made["metadata"]["labels"][HASH_LABEL]
    }


def test_an_app_label_of_the_users_own_is_kept():
    made = make_replica_set(revision(labels={"app": "mine"}), 1)
    assert made["spec"]["template"]["metadata"]["labels"]["app"] == "mine"


def test_the_container_is_told_its_port_and_who_it_is():
    given = {
        "name": "user-container", "image": "a", "env": [{"name": "MINE", "value": "1"}],
        "stdin": True,
    }  # fmt: skip
    spec = make_pod_spec(revision(given, timeoutSeconds=300, containerConcurrency=5))
    [made] = spec["containers"]
    assert made["env"] == [
        {"name": "MINE", "value": "1"},
        {"name": "PORT", "value": "8080"},
        {"name": "K_REVISION", "value": "hello-00001"},
        {"name": "K_CONFIGURATION", "value": "hello"},
        {"name": "K_SERVICE", "value": "hello"},
    ]
    assert made["ports"] == [{"name": "user-port", "containerPort": 8080, "protocol": "TCP"}]
    assert made["readinessProbe"] == {"successThreshold": 1, "tcpSocket": {"port": 8080}}
    assert made["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert "stdin" not in made
    assert spec["terminationGracePeriodSeconds"] == 300
    assert set(spec) == {"containers", "terminationGracePeriodSeconds", "affinity"}


@pytest.mark.parametrize(
    ("port", "want"),
    [
        pytest.param({"containerPort": 9000}, ("user-port", 9000), id="number"),
        pytest.param({"name": "h2c", "containerPort": 9000}, ("h2c", 9000), id="http2"),
        pytest.param({"name": "http1"}, ("user-port", 8080), id="name-alone"),
    ],
)
def test_the_port_keeps_its_number_and_its_protocol(port, want):
    [made] = make_pod_spec(revision({"name": "c", "ports": [port]}))["containers"]
    [made_port] = made["ports"]
    assert (made_port["name"], made_port["containerPort"]) == want


@pytest.mark.parametrize(
    ("kind", "probe", "want"),
    [
        pytest.param("readinessProbe", {"tcpSocket": {"port": 0}}, 9000, id="default"),
        pytest.param("readinessProbe", {"httpGet": {"path": "/"}}, 9000, id="http-without-port"),
        pytest.param("readinessProbe", {"httpGet": {"port": 81}}, 81, id="other-port"),
        pytest.param("livenessProbe", {"httpGet": {"port": 81}}, 9000, id="liveness-asks-the-app"),
        pytest.param("startupProbe", {"grpc": {}}, 9000, id="grpc"),
    ],
)
def test_probes_get_the_apps_port(kind, probe, want):
    given = revision({"name": "c", "ports": [{"containerPort": 9000}], kind: probe})
    [made] = make_pod_spec(given)["containers"]
    [handler] = [value for name, value in made[kind].items() if name != "successThreshold"]
    assert handler["port"] == want
    assert given["spec"]["containers"][0][kind] == probe  # the cached object is left as it was


def test_of_several_containers_the_one_with_a_port_serves():
    spec = make_pod_spec(revision({"name": "helper"}, {"name": "app", "ports": [{}]}))
    helper, app = spec["containers"]
    assert "ports" not in helper and "readinessProbe" not in helper
    assert [one["name"] for one in helper["env"]] == ["K_REVISION", "K_CONFIGURATION", "K_SERVICE"]
    assert app["env"][0] == {"name": "PORT", "value": "8080"}


def test_a_set_is_brought_up_to_date_only_when_what_it_was_made_from_changed():
    desired = make_replica_set(revision(), 1)
    existing = {**desired, "spec": {**desired["spec"], "replicas": 7}}
    assert brought_up_to_date(existing, desired) is None
    changed = make_replica_set(revision(annotations={"new": "1"}), 1)
    brought = brought_up_to_date(existing, changed)
    assert brought["spec"]["replicas"] == 7  # the autoscaler's
    assert brought["spec"]["template"]["metadata"]["annotations"]["new"] == "1"
    assert brought_up_to_date(brought, changed) is None


def test_a_runtime_class_comes_from_the_config_map_unless_the_revision_says_one():
    config = read_deployment({"runtime-class-name": "gvisor: {selector: {careful: very}}"})
    careful = {"careful": "very"}
    assert make_pod_spec(revision(labels=careful), config)["runtimeClassName"] == "gvisor"
    assert "runtimeClassName" not in make_pod_spec(revision(), config)
    own = make_pod_spec(revision(labels=careful, runtimeClassName="kata"), config)
    assert own["runtimeClassName"] == "kata"
    plain, sandboxed = (make_replica_set(revision(labels=careful), 1, c) for c in (
        read_deployment({}), config))  # fmt: skip
    assert brought_up_to_date(plain, sandboxed) is not None, "pods that come later get it"


def test_containers_run_the_digests_that_their_tags_had():
    init = [{"name": "setup", "image": "b:1"}]
    given = revision({"name": "app", "image": "a:1"}, initContainers=init)
    pins = {"app": "a@sha256:1", "setup": "b@sha256:2"}
    spec = make_pod_spec(given, pins=pins)
    assert [c["image"] for c in spec["containers"] + spec["initContainers"]] == list(pins.values())
    assert given["spec"]["initContainers"][0]["image"] == "b:1"


def test_pods_of_a_revision_prefer_not_to_be_together():
    [term] = make_pod_spec(revision())["affinity"]["podAntiAffinity"][
        "preferredDuringSchedulingIgnoredDuringExecution"
    ]
    assert term["podAffinityTerm"] == {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": {K + "revision": "hello-00001"}},
    }
    own = {"nodeAffinity": {"a": 1}}
    assert make_pod_spec(revision(affinity=own))["affinity"] == own
    together = read_deployment({"default-affinity-type": "none"})
    assert "affinity" not in make_pod_spec(revision(), together)
