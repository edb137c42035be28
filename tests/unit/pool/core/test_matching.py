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
