"""Services of container images: from apply to answers, to zero and back, with Knative's clients."""

from __future__ import annotations

import json
import re
import time

import pytest

from tests.kubernetes.cluster import SYSTEM, service, settled


@pytest.fixture(scope="module")
def hello(hearth):
    """A Service that is ready."""
    hearth.apply(service("hello", TARGET="one"))
    hearth.kubectl("wait", "--for=condition=Ready", "ksvc/hello", "--timeout=60s")
    return hearth


def at_zero(cluster, revision):
    def none():
        assert cluster.pods(revision) == []

    settled(none, timeout_s=40)


def test_a_service_is_ready_and_answers(hello):
    found = hello.get("ksvc", "hello")
    assert found["status"]["url"] == "http://hello.default.localhost"
    assert hello.call("hello").body == "hello-00001 one"
    [pod] = hello.pods("hello-00001")
    assert pod["metadata"]["ownerReferences"][0]["kind"] == "PooledReplicaSet"
    columns = hello.kubectl("get", "ksvc").splitlines()[0].split()
    assert columns == ["NAME", "URL", "LATESTCREATED", "LATESTREADY", "READY", "REASON"]


def test_it_goes_to_zero_and_a_request_brings_it_back(hello):
    at_zero(hello, "hello-00001")
    answer = hello.call("hello", **{"hearth-timing": "1"})
    assert (answer.status, answer.body) == (200, "hello-00001 one")
    assert len(hello.pods("hello-00001")) == 1


def test_a_service_at_zero_is_reached_by_name_from_a_pod(hello):
    hello.apply(service("asks"))
    hello.kubectl("wait", "--for=condition=Ready", "ksvc/asks", "--timeout=60s")
    at_zero(hello, "hello-00001")
    for host in ("hello.default.svc.cluster.local", "hello.default.svc", "hello.default"):
        assert hello.call("asks", f"/ask/{host}").body == "hello-00001 one"


def test_what_is_for_inside_alone_is_not_found_from_outside(hello):
    local = service("local")
    local["metadata"]["labels"] = {"networking.knative.dev/visibility": "cluster-local"}
    hello.apply(local)
    hello.kubectl("wait", "--for=condition=Ready", "ksvc/local", "--timeout=60s")
    assert hello.call("local", host="local.default.svc.cluster.local").status == 404
    assert hello.call("asks", "/ask/local.default.svc.cluster.local").body == "local-00001 "


def test_traffic_is_split_with_kn(hello):
    hello.kn("service", "update", "hello", "--env", "TARGET=two", "--wait-timeout", "60")
    hello.kn("service", "update", "hello", "--tag", "hello-00001=old", "--traffic",
             "hello-00001=50,@latest=50")  # fmt: skip
    said = [hello.call("hello").body for _ in range(40)]
    assert set(said) == {"hello-00001 one", "hello-00002 two"}
    assert hello.call("", host="old-hello.default.localhost").body == "hello-00001 one"
    listed = hello.kn("service", "list")
    assert re.search(r"hello\s+http://hello.default.localhost\s+hello-00002", listed)


def test_our_own_commands_know_the_cluster(hello):
    def logged():  # a pod that has gone has taken its log with it
        hello.call("hello", "/said")
        assert "/said" in hello.hearth("logs", "hello")

    assert "hello" in hello.hearth("list")
    assert "hello-00002" in hello.hearth("describe", "hello")
    settled(logged, timeout_s=30)
    status = json.loads(hello.hearth("status", "-o", "json"))
    assert status["gateway"]["ok"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"containerConcurrency": -1}, "expected 0 <= -1 <= 1000", id="bounds"),
        pytest.param({"containers": []}, "missing field(s)", id="no-container"),
        pytest.param({"colour": "red"}, 'unknown field "spec.template.spec.colour"', id="unknown"),
        pytest.param({"timeoutSeconds": "x"}, "timeoutSeconds", id="type"),
    ],
)
def test_a_bad_service_is_refused_in_knatives_words(hearth, change, said):
    bad = service("bad")
    bad["spec"]["template"]["spec"] |= change
    assert said in hearth.apply(bad, fails=True)


def test_a_revision_does_not_change(hello):
    patch = json.dumps({"spec": {"timeoutSeconds": 7}})
    said = hello.kubectl(
        "patch", "revision", "hello-00001", "--type=merge", "-p", patch, fails=True
    )
    assert "Immutable" in said


def test_knatives_config_maps_are_checked_and_heard(hello):
    def config(name, **data):
        meta = {"name": name, "namespace": "knative-serving"}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}

    bad = config("config-autoscaler", **{"stable-window": "never"})
    assert "stable-window" in hello.apply(bad, fails=True)
    hello.apply(config("config-domain", **{"example.com": ""}))

    def named(domain):
        assert hello.get("ksvc", "hello")["status"]["url"] == f"http://hello.default.{domain}"

    settled(lambda: named("example.com"), timeout_s=20)
    assert hello.call("", host="hello.default.example.com").status == 200
    hello.kubectl("-n", "knative-serving", "delete", "configmap", "config-domain")
    settled(lambda: named("localhost"), 20)


def test_an_image_that_is_not_there_is_said_in_the_status(hearth):
    wrong = service("wrong", image="app.test/none:1")
    wrong["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = "Never"
    hearth.apply(wrong)

    def says():
        conditions = hearth.get("ksvc", "wrong")["status"]["conditions"]
        ready = next(one for one in conditions if one["type"] == "Ready")
        assert ready["status"] == "False"
        assert "Unable to fetch image" in json.dumps(conditions)

    settled(says, timeout_s=60)
    hearth.kubectl("delete", "ksvc", "wrong")


def test_a_restarted_controller_goes_on_while_the_gateways_serve(hello):
    hello.call("hello")
    hello.kubectl("-n", SYSTEM, "delete", "pod", "--wait=false", "-l",
                  "app.kubernetes.io/name=hearth-controller")  # fmt: skip
    until = time.monotonic() + 4
    while time.monotonic() < until:
        assert hello.call("hello").status == 200
    hello.kubectl("-n", SYSTEM, "rollout", "status", "deployment/hearth-controller")
    at_zero(hello, "hello-00001")
    assert hello.call("", host="old-hello.default.localhost").body == "hello-00001 one"


def test_a_deleted_service_leaves_nothing(hello):
    hello.kubectl("delete", "ksvc", "--all")

    def nothing():
        kinds = "ksvc,cfg,rt,rev,pooledreplicasets,pods"
        assert hello.get(kinds)["items"] == []
        names = {one["metadata"]["name"] for one in hello.get("services")["items"]}
        assert names == {"kubernetes"}

    settled(nothing, timeout_s=60)


def test_nothing_that_was_needed_was_forbidden(hearth):
    for part in ("hearth-controller", "hearth-gateway"):
        refused = [line for line in hearth.logs(part) if "forbidden" in json.dumps(line)]
        assert refused == []
