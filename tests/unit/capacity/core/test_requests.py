from decimal import Decimal

import pytest

from hearth.capacity.core.requests import insufficient, requests_of
from tests.unit.capacity.core.world import node, pod

GPU = {"nvidia.com/gpu": "1"}


def of(*containers, inits=(), **spec):
    """A pod of containers that request and are limited so much."""

    def made(one):
        return {"resources": {"requests": one}} if "resources" not in one else one

    spec |= {"containers": list(map(made, containers)), "initContainers": list(map(made, inits))}
    return {"metadata": {}, "spec": spec}


@pytest.mark.parametrize(
    ("wanted", "total"),
    [
        pytest.param(of({"cpu": "1"}, {"cpu": "500m", "memory": "1Ki"}),
                     {"cpu": "1.5", "memory": "1024"}, id="the-sum"),
        pytest.param(of({"cpu": "1"}, inits=[{"cpu": "3"}, {"cpu": "2"}]), {"cpu": "3"},
                     id="or-the-largest-init-container"),
        pytest.param(of({"cpu": "1"}, inits=[{"resources": {"requests": {"cpu": "1"}},
                                              "restartPolicy": "Always"}]), {"cpu": "2"},
                     id="sidecars-count"),
        pytest.param(of({"resources": {"limits": {"cpu": "2", "memory": "1"},
                                       "requests": {"cpu": "1"}}}),
                     {"cpu": "1", "memory": "1"}, id="limits-where-nothing-is-requested"),
        pytest.param(of({"cpu": "1"}, overhead={"cpu": "250m"}), {"cpu": "1.25"}, id="overhead"),
        pytest.param(of({}), {}, id="nothing"),
    ],
)  # fmt: skip
def test_what_a_pod_asks_for(wanted, total):
    assert requests_of(wanted) == {name: Decimal(text) for name, text in total.items()}


@pytest.mark.parametrize(
    ("wanted", "given", "why"),
    [
        pytest.param(pod(cpu="1"), node("a", cpu="2"), [], id="enough"),
        pytest.param(pod(cpu="1500m"), node("a", cpu="2"), ["Insufficient cpu"], id="cpu"),
        pytest.param(pod(**{"ephemeral-storage": "2Gi", "memory": "2Gi"}),
                     node("a", **{"ephemeral-storage": "1Gi", "memory": "1Gi"}),
                     ["Insufficient ephemeral-storage", "Insufficient memory"], id="two"),
        pytest.param(pod(memory="1Gi"), node("a"), [], id="a-node-that-does-not-tell"),
        pytest.param(pod(**GPU), node("a"), ["Insufficient nvidia.com/gpu"], id="no-gpu"),
        pytest.param(pod(**GPU), node("a", **GPU), [], id="a-gpu"),
        pytest.param(pod(), node("a", pods="1"), ["Too many pods"], id="full"),
    ],
)  # fmt: skip
def test_what_is_left_must_be_enough(wanted, given, why):
    assert insufficient(wanted, given, [pod(cpu="1")]) == why


def test_a_gpu_is_given_once():
    assert insufficient(pod(**GPU), node("a", **GPU), [pod(**GPU)]) != []
