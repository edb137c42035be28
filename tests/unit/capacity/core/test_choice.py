import pytest

from hearth.capacity.core.choice import choose_node


def node(name, *, ready="True", pods="10", labels=None, unschedulable=False, **allocatable):
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"unschedulable": unschedulable},
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "allocatable": {"pods": pods, **allocatable},
        },
    }


def pod(selector=None, **requests):
    container = {"resources": {"requests": requests}} if requests else {}
    return {"spec": {"nodeSelector": selector, "containers": [container]}}


def test_the_node_with_the_fewest_pods_takes_it():
    on_node = {"a": [pod(), pod()], "b": [pod()]}
    assert choose_node(pod(), [node("a"), node("b")], on_node) == ("b", "")


@pytest.mark.parametrize(
    ("wanted", "nodes", "why"),
    [
        pytest.param(pod(), [], "there is no node", id="none"),
        pytest.param(pod(), [node("a", ready="False")], "1 node(s) were not ready", id="not-ready"),
        pytest.param(pod(), [node("a", unschedulable=True)], "1 node(s) were unschedulable",
                     id="cordoned"),
        pytest.param(pod({"disk": "ssd"}), [node("a")],
                     "nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
                     id="selector"),
        pytest.param(pod(), [node("a", pods="1")], "1 Too many pods", id="full"),
        pytest.param(pod(cpu="1500m"), [node("a", cpu="2")], "1 Insufficient cpu.", id="cpu"),
        pytest.param(pod(memory="2Gi"), [node("a", memory="1Gi")], "1 Insufficient memory.",
                     id="memory"),
    ],
)  # fmt: skip
def test_a_node_that_cannot_take_it_says_why(wanted, nodes, why):
    chosen, said = choose_node(wanted, nodes, {"a": [pod(cpu="1")]})
    assert chosen == ""
    assert why in said


def test_a_selector_that_matches_and_room_enough():
    nodes = [node("a", labels={"disk": "ssd"}, cpu="2", memory="1Gi")]
    wanted = pod({"disk": "ssd"}, cpu="1", memory="512Mi")
    assert choose_node(wanted, nodes, {"a": [pod(cpu="1")]})[0] == "a"
