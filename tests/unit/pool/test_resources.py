"""What pools and sets name what they make."""

from hearth.api.names import PODPOOL_LABEL
from hearth.pool.resources import (
    adopted_in_place,
    fallback_name,
    make_warm_pod,
    probed_often,
)


def test_a_pod_is_named_as_one_of_knatives_deployments():
    assert fallback_name({"metadata": {"name": "app-00001"}}, "a1b2c3") == (
        "app-00001-deployment-a1b2c"
    )


def test_a_long_name_leaves_room_for_what_tells_pods_apart():
    name = fallback_name({"metadata": {"name": "a" * 63}}, "a1b2c3")
    assert (len(name), name[-5:]) == (63, "a1b2c")


POD = {"metadata": {"name": "p", "namespace": "ns", "uid": "u1"}}
POOL = {
    "apiVersion": "hearth.dev/v1alpha1",
    "kind": "PodPool",
    "metadata": {"name": "python", "namespace": "ns", "uid": "u2"},
    "spec": {"template": {"spec": {"containers": [{"image": "x"}]}}},
}


def test_a_pod_is_adopted_where_it_is_and_leaves_its_pool():
    adoption = {"metadata": {"namespace": "ns", "labels": {"a": "b"}, "ownerReferences": [{}]}}
    meta = adopted_in_place(POD, adoption)["metadata"]
    assert meta["labels"] == {PODPOOL_LABEL: None, "a": "b"}
    assert (meta["uid"], meta["ownerReferences"]) == ("u1", [{}])


def test_a_kubelet_is_told_when_a_pod_is_warm_and_our_agent_knows():
    [theirs] = make_warm_pod(POOL, "p", "d", kubelets=True)["spec"]["containers"]
    [ours] = make_warm_pod(POOL, "p", "d")["spec"]["containers"]
    assert theirs["startupProbe"]["tcpSocket"]["port"] == 8012
    assert "startupProbe" not in ours


def test_a_kubelet_asks_often_unless_it_is_told_how_often():
    def period(**probe):
        asked = {"spec": {"containers": [{"readinessProbe": probe}, {"name": "side"}]}}
        return probed_often(asked)["spec"]["containers"][0]["readinessProbe"]["periodSeconds"]

    assert (period(tcpSocket={}), period(tcpSocket={}, periodSeconds=7)) == (1, 7)
