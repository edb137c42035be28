"""Apps of code start in warm pods of their own namespace, by one adopting write and the scale."""

from __future__ import annotations

import re
import statistics
from urllib.parse import quote

import pytest

from tests.kubernetes.cluster import ROOT, service, settled

LEVEL = 3
CLAIMS = 12
IMAGE = "hearth.dev/runtimes/python"
CODE = """\
import os
def handle(request):
    return os.environ["K_REVISION"] + " " + os.environ.get("TARGET", "") + " " + str(os.getuid())
"""


def app(name, code=CODE, **env):
    annotations = {
        "hearth.dev/code": f"data:text/x-python,{quote(code)}",
        "autoscaling.knative.dev/initial-scale": "0",
        "autoscaling.knative.dev/window": "60s",
    }
    return service(name, image=IMAGE, annotations=annotations, **env)


@pytest.fixture(scope="module")
def pool(hearth):
    """A pool of the namespace ``default`` that is filled."""
    hearth.kubectl("apply", "-f", str(ROOT / "docs/podpool.yaml"))
    filled(hearth)
    yield hearth
    hearth.kubectl("delete", "ksvc", "--all")
    hearth.kubectl("delete", "podpool", "python")


def filled(cluster):
    def warm():
        assert cluster.get("podpool", "python")["status"].get("readyReplicas") == LEVEL

    settled(warm, timeout_s=60)


def applied(cluster, *apps):
    cluster.apply(*apps)
    names = [f"ksvc/{one['metadata']['name']}" for one in apps]
    cluster.kubectl("wait", "--for=condition=Ready", "--timeout=60s", *names)


def test_a_warm_pod_becomes_the_revisions_where_it_is(pool):
    applied(pool, app("code", TARGET="one"))
    before = {pod["metadata"]["uid"] for pod in pool.get("pods")["items"]}
    assert pool.call("code").body == "code-00001 one 65532"

    def adopted():
        [pod] = pool.pods("code-00001")
        assert pod["metadata"]["uid"] in before
        assert "hearth.dev/podpool" not in pod["metadata"]["labels"]
        [owner] = pod["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"]) == ("PooledReplicaSet", "code-00001")

    settled(adopted, timeout_s=10)
    filled(pool)
    assert pool.get("podpool", "python")["status"]["claimed"] == 1


def test_a_claim_writes_twice_and_answers_at_once(pool):
    applied(pool, *(app(f"many{number}") for number in range(CLAIMS)))
    took, before = [], writes(pool)
    for number in range(CLAIMS):
        filled(pool)
        answer = pool.call(f"many{number}")
        assert answer.status == 200
        took.append(answer.took_s * 1000)

    def told():
        assert all(pool.pods(f"many{number}-00001") for number in range(CLAIMS))

    settled(told, timeout_s=20)
    assert writes(pool) - before <= 2 * CLAIMS
    print(f"0 -> first answer: p50 {statistics.median(took):.1f} ms, max {max(took):.1f} ms")
    assert statistics.median(took) < 250


def writes(cluster):
    """Changes of pods and of sets so far, without what kubelets and statuses say."""
    said = cluster.kubectl("get", "--raw", "/metrics")
    wanted = re.compile(
        r'apiserver_request_total\{(?=.*resource="(?:pods|pooledreplicasets)")(?=.*subresource="")'
        r'(?=.*verb="(?:PATCH|PUT|APPLY)").*\} (\d+)'
    )
    return sum(int(found[1]) for found in wanted.finditer(said))


def test_a_burst_waits_for_pods_that_become_warm(pool):
    filled(pool)
    names = [f"burst{number}" for number in range(LEVEL + 2)]
    applied(pool, *map(app, names))
    assert {name: pool.call(name).status for name in names} == dict.fromkeys(names, 200)


def test_code_that_does_not_run_is_said(pool):
    pool.apply(app("broken", code="raise RuntimeError('no')"))
    pool.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "ksvc/broken")
    answer = pool.call("broken")
    assert answer.status == 503
    assert "RuntimeError: no" in answer.body


def test_what_a_kubelet_gives_at_the_start_is_no_pools_to_give(pool):
    user = app("user")
    user["spec"]["template"]["spec"]["containers"][0]["securityContext"] = {"runAsUser": 1000}
    applied(pool, user)
    assert "securityContext differs from the pool's" in pool.call("user").body


def test_a_package_from_this_machine_has_nowhere_to_go(pool):
    source = str(ROOT / "examples/hello")
    said = pool.hearth("deploy", "hello", "--source", source, fails=True)
    assert "has no store for packages" in said


def test_a_namespace_without_a_pool_says_so(pool):
    pool.kubectl("create", "namespace", "empty")
    other = app("code")
    other["metadata"]["namespace"] = "empty"
    pool.apply(other)
    pool.kubectl("wait", "-n", "empty", "--for=condition=Ready", "ksvc/code", "--timeout=60s")
    body = pool.call("", host="code.empty.localhost").body
    assert "no PodPool of namespace empty fits" in body
    pool.kubectl("delete", "namespace", "empty")


def test_an_adopted_pod_goes_with_its_service(pool):
    assert pool.call("code").status == 200
    pool.kubectl("delete", "ksvc", "code")

    def gone():
        assert pool.pods("code-00001") == []

    settled(gone, timeout_s=40)
