"""Services that ask for more than code: volumes, a user, probes; and namespaces with limits."""

from __future__ import annotations

import os

import pytest

from hearth.api.errors import Forbidden, NotFound
from hearth.api.kinds import (
    CONFIG_MAP,
    NAMESPACE,
    POD,
    RESOURCE_QUOTA,
    REVISION,
    SECRET,
    SERVICE,
)
from hearth.api.meta import condition_of
from tests.system.running import eventually

APP = """
import os, pathlib
bad = []
def handle(request):
    if request.path == "/bad":
        bad.append(1)
    if request.path == "/health":
        return ("bad", 500) if bad else "good"
    if request.path == "/me":
        return f"{os.getuid()} {os.environ['HOSTNAME']}"
    return pathlib.Path("/hearth-test/color").read_text()
"""
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def service(name, source, **spec):
    container = {"image": "hearth.dev/runtimes/python", **spec.pop("container", {})}
    template = {
        "metadata": {"annotations": {"hearth.dev/code": f"file://{source}"}},
        "spec": {"containers": [container], **spec},
    }
    meta = {"name": name, "namespace": "default"}
    return {"metadata": meta, "spec": {"template": template}}


def put(running, kind, wire):
    return running.api(lambda client: client.create(kind, wire))


def delete(running, kind, name):
    running.api(lambda client: client.delete(kind, "default", name))


def is_ready(running, name):
    """Whether the service answers: its revision is ready a little earlier."""
    try:
        return running.condition(SERVICE, name, "Ready").get("status") == "True"
    except NotFound:
        return False


def condition(running, name, of="Ready"):
    async def look(client):
        try:
            return condition_of(await client.get(REVISION, "default", f"{name}-00001"), of) or {}
        except NotFound:
            return {}

    return running.api(look)


def pods_of(running, name):
    labels = f"serving.knative.dev/service={name}"
    found = running.api(lambda client: client.list(POD, "default", label_selector=labels))
    return [pod for pod in found.items if pod["status"]["phase"] == "Running"]


def test_a_claimed_pod_has_volumes_a_user_and_a_liveness_probe(running, source):
    meta = {"metadata": {"name": "colors", "namespace": "default"}}
    put(running, CONFIG_MAP, {**meta, "data": {"color": "red"}})
    probe = {"httpGet": {"path": "/health"}, "periodSeconds": 1, "failureThreshold": 1}
    container = {
        "volumeMounts": [{"name": "v", "mountPath": "/hearth-test"}],
        "securityContext": {"runAsUser": 12345},
        "livenessProbe": probe,
    }
    volumes = [{"name": "v", "configMap": {"name": "colors"}}]
    put(running, SERVICE, service("full", source(app__py=APP), container=container,
                                  volumes=volumes))  # fmt: skip
    eventually(lambda: is_ready(running, "full"), what="full is ready")
    assert running.call("full").body == b"red"
    user, first = running.call("full", "/me").body.decode().split()
    assert user == "12345"
    [pod] = pods_of(running, "full")
    assert "hearth.dev/claimed-from" in pod["metadata"]["annotations"]
    running.call("full", "/bad")

    def is_another():
        answer = running.call("full", "/me")
        return answer.status == 200 and answer.body.decode().split()[1] != first

    eventually(is_another, what="another pod serves")
    delete(running, SERVICE, "full")


def test_a_service_waits_for_the_secret_that_it_names(running, source):
    env = [{"name": "PW", "valueFrom": {"secretKeyRef": {"name": "late", "key": "k"}}}]
    code = source(app__py="def handle(request):\n    import os\n    return os.environ['PW']\n")
    put(running, SERVICE, service("patient", code, container={"env": env}))
    eventually(lambda: condition(running, "patient").get("status") == "False", what="it has failed")
    found = condition(running, "patient", "ContainerHealthy")
    assert (found["reason"], found["message"]) == (
        "CreateContainerConfigError", 'secret "late" not found',
    )  # fmt: skip
    meta = {"metadata": {"name": "late", "namespace": "default"}}
    put(running, SECRET, {**meta, "stringData": {"k": "secret"}})
    eventually(lambda: running.call("patient").body == b"secret", what="it answers after all")
    delete(running, SERVICE, "patient")


def test_a_quota_stops_a_revision_and_is_told(running, source):
    there = running.api(lambda client: client.list(POD, "default")).items
    alive = sum(pod["status"]["phase"] in ("Running", "Pending") for pod in there)
    quota = {"metadata": {"name": "few", "namespace": "default"},
             "spec": {"hard": {"pods": str(alive)}}}  # fmt: skip
    put(running, RESOURCE_QUOTA, quota)
    code = source(app__py="def handle(request):\n    return 'here'\n")
    put(running, SERVICE, service("crowded", code))
    eventually(lambda: condition(running, "crowded").get("status") == "False", what="it has failed")
    found = condition(running, "crowded", "ResourcesAvailable")
    assert found["reason"] == "FailedCreate"
    assert "is forbidden: exceeded quota: few, requested: pods=1" in found["message"]
    delete(running, RESOURCE_QUOTA, "few")
    eventually(lambda: running.call("crowded").body == b"here", what="it answers after all")
    delete(running, SERVICE, "crowded")


HARDENED = {
    "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True,
    "runAsUser": 4242, "seccompProfile": {"type": "RuntimeDefault"},
}  # fmt: skip


@pytest.fixture
def secured(running):
    """Sets the level of namespace default; without one again after the test."""

    def to(level):
        _secure(running, level)

    yield to
    to(None)


def _secure(running, level):
    name = "pod-security.kubernetes.io/enforce"
    labels = {"metadata": {"labels": {name: level}}}
    running.api(lambda client: client.patch(NAMESPACE, "", "default", labels))


def test_a_strict_namespace_has_warm_pods_that_fit_it(running, source, secured):
    secured("restricted")
    code = source(app__py=APP)
    with pytest.raises(Forbidden, match='violates PodSecurity "restricted:latest"'):
        put(running, SERVICE, service("loose", code))
    put(running, SERVICE, service("fitting", code, container={"securityContext": HARDENED}))
    eventually(
        lambda: running.call("fitting", "/me").body.startswith(b"4242 "), what="it runs as 4242"
    )
    eventually(lambda: pods_of(running, "fitting"), what="its pod is adopted")
    [pod] = pods_of(running, "fitting")
    assert pod["metadata"]["annotations"]["hearth.dev/claimed-from"] == "python"
    delete(running, SERVICE, "fitting")


def test_secure_defaults_make_apps_fit_a_strict_namespace(running, source, secured):
    def features(value):
        data = {"data": {"secure-pod-defaults": value}}
        where = ("knative-serving", "config-features")
        running.api(lambda client: client.patch(CONFIG_MAP, *where, data))

    features("Enabled")
    secured("restricted")
    put(running, SERVICE, service("defended", source(app__py=APP)))
    eventually(
        lambda: running.call("defended", "/me").body.startswith(b"65532 "), what="it is nobody"
    )
    delete(running, SERVICE, "defended")
    features(None)


def test_a_namespace_that_became_stricter_stops_new_pods_and_is_told(running, source, secured):
    code = source(app__py="def handle(request):\n    return 'here'\n")
    at_zero = {"autoscaling.knative.dev/initial-scale": "0"}
    wire = service("shut", code)
    wire["spec"]["template"]["metadata"]["annotations"] |= at_zero
    put(running, SERVICE, wire)
    eventually(
        lambda: running.condition(SERVICE, "shut", "Ready").get("status") == "True",
        what="it is ready",
    )
    secured("restricted")
    answer = running.call("shut")
    assert answer.status == 503
    assert b'violates PodSecurity "restricted:latest": allowPrivilegeEscalation' in answer.body
    eventually(
        lambda: condition(running, "shut", "ResourcesAvailable").get("reason") == "FailedCreate",
        what="the revision tells",
    )
    secured(None)
    eventually(lambda: running.call("shut").body == b"here", what="it answers after all")
    delete(running, SERVICE, "shut")


FETCHING = """
import urllib.request
def handle(request):
    other = request.query.get("of")
    return urllib.request.urlopen(f"http://{other}/", timeout=10).read() if other else "it is me"
"""


def test_an_app_reaches_another_that_is_at_zero_by_its_names(running, source):
    code = source(app__py=FETCHING)
    for name in ("asking", "asked"):
        put(running, SERVICE, service(name, code))
        eventually(lambda name=name: is_ready(running, name), what=name)
    for host in ("asked.default.svc.cluster.local", "asked.default.svc", "asked.default"):
        assert running.call("asking", f"/?of={host}").body == b"it is me", host
    for name in ("asking", "asked"):
        delete(running, SERVICE, name)
