import pytest

from hearth.pool.core.matching import matching_pools, mismatch

WARM = {"containers": [{"name": "user-container", "image": "python"}]}


def wanted(pod=None, **container):
    return {"containers": [{"image": "python", **container}], **(pod or {})}


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(wanted(), id="bare"),
        pytest.param(wanted(env=[{"name": "A"}], command=["x"], ports=[{"containerPort": 9}],
                            workingDir="/x"), id="what-the-loader-applies"),
        pytest.param(wanted(resources={}, readinessProbe={"tcpSocket": {}}), id="defaults"),
        pytest.param(wanted(readinessProbe={"httpGet": {"path": "/"}}), id="http-probe"),
        pytest.param(wanted({"serviceAccountName": "robot"}), id="account"),
        pytest.param(wanted({"affinity": {"podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}]}}}),
            id="a-preference"),
        pytest.param(wanted({"volumes": [{"name": "v"}]}, volumeMounts=[{"name": "v"}]),
                     id="volumes"),
        pytest.param(wanted({"securityContext": {"fsGroup": 1}},
                            securityContext={"runAsUser": 1, "capabilities": {"drop": ["ALL"]}}),
                     id="user"),
        pytest.param(wanted(livenessProbe={"exec": {}}, startupProbe={"exec": {}}), id="probes"),
    ],
)  # fmt: skip
def test_what_a_loader_can_give_fits(spec):
    assert mismatch(WARM, spec) == ""


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        pytest.param({"containers": [{"image": "go"}]}, "image is go", id="image"),
        pytest.param({"containers": [*wanted()["containers"], {"image": "side"}]}, "several",
                     id="sidecar"),
        pytest.param(wanted(securityContext={"privileged": True}), "securityContext", id="rights"),
        pytest.param(wanted(securityContext={"capabilities": {"add": ["X"]}}), "securityContext",
                     id="more-rights"),
        pytest.param(wanted(lifecycle={"preStop": {}}), "lifecycle", id="hooks"),
        pytest.param(wanted(readinessProbe={"exec": {}}), "probe is exec", id="exec-probe"),
        pytest.param(wanted(resources={"limits": {"cpu": "1"}}), "resources", id="resources"),
        pytest.param(wanted({"nodeSelector": {"a": "b"}}), "nodeSelector", id="selector"),
        pytest.param(wanted({"runtimeClassName": "kata"}), "runtimeClassName", id="class"),
        pytest.param(wanted({"affinity": {"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"a": 1}}}}), "affinity",
            id="affinity"),
    ],
)  # fmt: skip
def test_what_a_running_pod_cannot_be_given_is_named(spec, why):
    assert why in mismatch(WARM, spec)


def pool(name, image):
    template = {"spec": {"containers": [{"image": image}]}}
    return {"metadata": {"name": name}, "spec": {"template": template}}


def test_the_pools_that_fit_and_why_the_others_do_not():
    pools = [pool("python", "python"), pool("node", "node")]
    assert matching_pools(pools, {"spec": wanted()}) == (
        ["python"],
        "node: image is python, the pool's is node",
    )
    assert matching_pools([], {"spec": wanted()}) == ([], "there is no pool")


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        pytest.param(wanted({"volumes": [{"name": "v"}]}), "volumes", id="volumes"),
        pytest.param(wanted(volumeMounts=[{"name": "v"}]), "volumeMounts", id="mounts"),
        pytest.param(wanted(livenessProbe={"exec": {}}), "livenessProbe", id="liveness"),
        pytest.param(wanted(startupProbe={"exec": {}}), "startupProbe", id="startup"),
        pytest.param(wanted({"serviceAccountName": "robot"}), "serviceAccountName", id="account"),
        pytest.param(wanted({"securityContext": {"fsGroup": 1}}), "securityContext", id="group"),
        pytest.param(wanted(securityContext={"runAsUser": 1}), "securityContext", id="user"),
        pytest.param(wanted(), "", id="bare"),
        pytest.param(wanted(env=[{"name": "A"}], readinessProbe={"httpGet": {}}), "", id="later"),
    ],
)
def test_what_a_kubelet_gives_at_the_start_must_be_the_pools(spec, why):
    said = mismatch(WARM, spec, kubelets=True)
    assert why in said
    assert bool(why) == bool(said)


def test_what_a_pool_has_and_nobody_asked_for_is_no_difference():
    warm = {
        "volumes": [{"name": "tmp"}],
        "containers": [{"image": "python", "securityContext": {"runAsUser": 7}}],
    }
    assert mismatch(warm, wanted(securityContext={"runAsUser": 7}), kubelets=True) == ""


def test_a_pool_is_known_by_the_runtime_that_it_names():
    there = pool("here", "registry.test/h/python:1")
    assert matching_pools([there], {"spec": wanted()})[0] == []
    there["metadata"]["annotations"] = {"hearth.dev/runtime": "python"}
    assert matching_pools([there], {"spec": wanted()})[0] == ["here"]
