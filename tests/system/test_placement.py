"""Where pods of Services are placed, and what is said when nowhere fits."""

from __future__ import annotations

import pytest

from hearth.api.kinds import CORE_EVENT, NODE, POD, POOLED_REPLICA_SET, REVISION, SERVICE
from hearth.api.meta import condition_of, name_of, spec_of
from hearth.api.names import SERVICE_LABEL
from tests.system.running import eventually, up

SCALED_BY_HAND = {"autoscaling.knative.dev/class": "scaled.by/hand"}
APP = "def handle(request):\n    return 'placed'\n"
GPU = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    """One whose node has a GPU to give."""
    folder = tmp_path_factory.mktemp("placement")
    config = folder / "hearth.toml"
    config.write_text('node_resources = "nvidia.com/gpu=1"\n')
    with up(folder / "state", "--config", str(config), pool=1) as found:
        yield found


@pytest.fixture
def deploy(platform, tmp_path):
    """Deploys, then changes the pod spec; the services are gone after the test."""
    names = []

    def make(name, spec=None, **container):
        (tmp_path / "app.py").write_text(APP)
        flags = ["--no-wait", "--initial-scale", "0"]
        platform.hearth("deploy", name, "--source", str(tmp_path), *flags)
        names.append(name)
        wire = platform.api(lambda client: client.get(SERVICE, "default", name))
        meta = {
            "annotations": {**SCALED_BY_HAND, **wire["spec"]["template"]["metadata"]["annotations"]}
        }
        meta["annotations"]["autoscaling.knative.dev/initial-scale"] = "1"
        [given] = wire["spec"]["template"]["spec"]["containers"]
        template = {
            "metadata": meta,
            "spec": {"containers": [{**given, **container}], **(spec or {})},
        }
        patch = {"spec": {"template": template}}
        platform.api(lambda client: client.patch(SERVICE, "default", name, patch))
        return f"{name}-00002"

    yield make
    for name in names:
        platform.hearth("delete", name, check=False)


def placed(platform, name):
    """The names of the nodes that pods of a service are on."""
    chosen = {"label_selector": f"{SERVICE_LABEL}={name}"}
    pods = platform.api(lambda client: client.list(POD, "default", **chosen)).items
    return [spec_of(pod).get("nodeName") for pod in pods]


def ready_of(platform, revision):
    revisions = platform.api(lambda client: client.list(REVISION, "default")).items
    found = next((one for one in revisions if name_of(one) == revision), {})
    return condition_of(found, "Ready") or {}


def says(platform, revision, said):
    def look():
        ready = ready_of(platform, revision)
        return ready.get("reason") == "Unschedulable" and said in ready.get("message", "")

    eventually(look, 30, f"{revision} says: {said}")


def is_ready(platform, revision):
    eventually(lambda: ready_of(platform, revision).get("status") == "True", 30, "it is ready")


def test_what_no_node_has_is_said_and_a_gpu_is_given_once(platform, deploy):
    first = deploy("one", **GPU)
    is_ready(platform, first)
    second = deploy("two", **GPU)
    says(platform, second, "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.")
    events = platform.api(lambda client: client.list(CORE_EVENT, "default")).items
    assert any(event["reason"] == "FailedScheduling" for event in events)
    platform.hearth("delete", "one")
    is_ready(platform, second)
    assert platform.call("two").body == b"placed"


def test_more_than_there_is_is_said(platform, deploy):
    requests = {"requests": {"cpu": "5000", "ephemeral-storage": "1Mi"}}
    says(platform, deploy("huge", resources=requests), "Insufficient cpu")


@pytest.mark.parametrize("how", ["nodeSelector", "affinity"])
def test_a_node_is_chosen_by_labels(platform, deploy, how):
    expression = {"key": "disk", "operator": "In", "values": [how.lower()]}
    required = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    spec = {
        "nodeSelector": {"nodeSelector": {"disk": how.lower()}},
        "affinity": {
            "affinity": {
                "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}
            }
        },
    }[how]
    revision = deploy(f"by-{how.lower()}", spec)
    says(platform, revision, "1 node(s) didn't match Pod's node affinity/selector")
    [node] = platform.api(lambda client: client.list(NODE)).items
    label = {"metadata": {"labels": {"disk": how.lower()}}}
    platform.api(lambda client: client.patch(NODE, "", name_of(node), label))
    is_ready(platform, revision)
    assert placed(platform, f"by-{how.lower()}") == [name_of(node)]


def test_a_tainted_node_takes_only_those_that_tolerate_it(platform, deploy):
    [node] = platform.api(lambda client: client.list(NODE)).items
    taint = {"key": "only", "value": "batch", "effect": "NoSchedule"}
    patch = {"spec": {"taints": [taint]}}
    platform.api(lambda client: client.patch(NODE, "", name_of(node), patch))
    try:
        tolerant = deploy("tolerant", {"tolerations": [{"key": "only", "operator": "Exists"}]})
        is_ready(platform, tolerant)
        selected = deploy("other", resources={"requests": {"cpu": "1m"}})
        says(platform, selected, "1 node(s) had untolerated taint {only: batch}")
    finally:
        patch = {"spec": {"taints": []}}
        platform.api(lambda client: client.patch(NODE, "", name_of(node), patch))
    is_ready(platform, selected)


def test_instances_are_spread_or_wait(platform, deploy):
    labels = {"matchLabels": {SERVICE_LABEL: "apart"}}
    rule = {"topologyKey": "kubernetes.io/hostname", "labelSelector": labels}
    anti = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [rule]}}
    revision = deploy("apart", {"affinity": anti})
    is_ready(platform, revision)
    scale = {"spec": {"replicas": 2}}
    platform.api(lambda client: client.patch(POOLED_REPLICA_SET, "default", revision, scale))
    why = "1 node(s) didn't match pod anti-affinity rules"
    eventually(lambda: why in _waiting(platform), 20, "the second says why it waits")
    assert placed(platform, "apart").count(None) == 1
    assert platform.call("apart").status == 200


def _waiting(platform):
    pods = platform.api(lambda client: client.list(POD, "default")).items
    return str([condition_of(pod, "PodScheduled") for pod in pods])
