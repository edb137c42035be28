import pytest

from hearth.capacity.core.choice import choose_node
from tests.unit.capacity.core.world import node, pod


def choose(wanted, *nodes, **on_node):
    return choose_node(wanted, nodes, on_node, {})


def test_the_node_with_the_fewest_pods_takes_it():
    assert choose(pod(), node("a"), node("b"), a=[pod(), pod()], b=[pod()]) == ("b", "")


@pytest.mark.parametrize(
    ("wanted", "given", "why"),
    [
        pytest.param(pod(), node("a", ready="False"), "node(s) were not ready", id="not-ready"),
        pytest.param(pod(), node("a", unschedulable=True), "node(s) were unschedulable",
                     id="cordoned"),
        pytest.param(pod(nodeSelector={"disk": "ssd"}), node("a"),
                     "node(s) didn't match Pod's node affinity/selector", id="selector"),
        pytest.param(pod(), node("a", taints=[{"key": "gpu", "value": "yes",
                                               "effect": "NoSchedule"}]),
                     "node(s) had untolerated taint {gpu: yes}", id="taint"),
        pytest.param(pod(), node("a", pods="1"), "Too many pods", id="full"),
        pytest.param(pod(cpu="1500m"), node("a", cpu="2"), "Insufficient cpu", id="cpu"),
        pytest.param(
            pod(topologySpreadConstraints=[{"maxSkew": 1, "topologyKey": "zone",
                                            "labelSelector": {}}]),
            node("a"), "node(s) didn't match pod topology spread constraints", id="spread"),
        pytest.param(
            pod(affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "host", "labelSelector": {}}]}}),
            node("a", labels={"host": "a"}), "node(s) didn't match pod anti-affinity rules",
            id="anti-affinity"),
    ],
)  # fmt: skip
def test_a_node_that_cannot_take_it_says_why_as_kube_scheduler_does(wanted, given, why):
    said = choose(wanted, given, a=[pod(cpu="1")])
    assert said == ("", f"0/1 nodes are available: 1 {why}.")


def test_all_reasons_are_counted():
    nodes = [node("a", cpu="1"), node("b", cpu="1", memory="1Gi"), node("c", unschedulable=True)]
    said = choose(pod(cpu="2", memory="2Gi"), *nodes)[1]
    assert said == (
        "0/3 nodes are available: 1 Insufficient memory, 1 node(s) were unschedulable, "
        "2 Insufficient cpu."
    )


def test_without_nodes_there_is_nothing_to_choose():
    assert choose(pod()) == ("", "no nodes available to schedule pods")


def test_what_is_preferred_comes_before_what_is_empty():
    liked = {"weight": 1, "preference": {"matchExpressions": [
        {"key": "disk", "operator": "In", "values": ["ssd"]}]}}  # fmt: skip
    prefers = pod(
        affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [liked]}}
    )
    nodes = [node("a"), node("b", labels={"disk": "ssd"})]
    assert choose(prefers, *nodes, b=[pod()])[0] == "b"


def test_a_taint_that_only_would_rather_not_comes_before_what_is_empty():
    rather_not = {"key": "k", "effect": "PreferNoSchedule"}
    assert choose(pod(), node("a", taints=[rather_not]), node("b"), b=[pod()])[0] == "b"
