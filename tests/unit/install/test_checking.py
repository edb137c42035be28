"""What is missing or wrong on a cluster is said, with how to mend it."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from hearth.api.http import Response
from hearth.api.kinds import CORE_SERVICE, DEPLOYMENT, NAMESPACE, POD, STORAGE_CLASS
from hearth.client import Client
from hearth.install import check
from tests.unit.fake_api import FakeApi

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class Cluster:
    """A cluster of some version, where one may do everything but ``forbidden``."""

    def __init__(self, version="v1.35.4", forbidden=()):
        self.api = FakeApi()
        self.version = version
        self.forbidden = forbidden

    async def __call__(self, request):
        if request.path == "/version":
            return Response(200, body=msgspec.json.encode({"gitVersion": self.version}))
        if request.path.endswith(REVIEWS):
            asked = msgspec.json.decode(request.body)["spec"]["resourceAttributes"]
            status = {"allowed": asked["resource"] not in self.forbidden}
            return Response(201, body=msgspec.json.encode({"status": status}))
        if request.path.startswith("/apis/metrics.k8s.io"):
            return Response(404, body=b"404 page not found")
        return await self.api(request)

    def findings(self):
        return {one.what: one for one in asyncio.run(check(Client(self, tenant_in_path=False)))}


def deployment(name, ready):
    meta = {"name": name, "namespace": "hearth-system"}
    return {"metadata": meta, "spec": {"replicas": 1}, "status": {"readyReplicas": ready}}


def installed(ready=1):
    cluster = Cluster()
    cluster.api.put(NAMESPACE, {"metadata": {"name": "hearth-system"}})
    for name in ("hearth-controller", "hearth-gateway"):
        cluster.api.put(DEPLOYMENT, deployment(name, ready), "hearth-system")
    return cluster


@pytest.mark.parametrize(
    ("version", "is_fault", "said"),
    [
        pytest.param("v1.32.9", True, "too old, expected 1.33 to 1.35", id="old"),
        pytest.param("v1.33.0", False, "v1.33.0", id="oldest"),
        pytest.param("v1.35.4-eks-1", False, "v1.35.4", id="a-vendor's"),
        pytest.param("v1.36.0", False, "newer than we know", id="new"),
        pytest.param("v1.35.0+hearth", True, "Hearth's own", id="ours"),
    ],
)
def test_versions(version, is_fault, said):
    found = Cluster(version).findings()["Kubernetes"]
    assert found.is_fault == is_fault
    assert said in found.says


def test_a_bare_cluster_is_ready_for_installation():
    found = Cluster().findings()
    assert not any(one.is_fault for one in found.values())
    assert found["installation"].mend == "hearth install"


def test_rights_that_are_lacking_are_named():
    found = Cluster(forbidden=("clusterroles",)).findings()["rights"]
    assert found.is_fault
    assert "clusterroles.rbac.authorization.k8s.io" in found.says


def test_a_knative_that_runs_is_in_the_way():
    cluster = Cluster()
    meta = {"name": "controller", "namespace": "knative-serving"}
    running = {"metadata": meta, "spec": {"replicas": 1}}
    cluster.api.put(DEPLOYMENT, running, "knative-serving")
    assert cluster.findings()["Knative"].is_fault
    cluster.api.put(DEPLOYMENT, {**running, "spec": {"replicas": 0}}, "knative-serving")
    assert not cluster.findings()["Knative"].is_fault


def test_what_a_cluster_lacks_is_no_fault():
    found = Cluster().findings()
    assert "metrics-server" in found["pod metrics"].mend
    assert "must name one" in found["storage"].says


def test_a_default_storage_class_is_seen():
    cluster = Cluster()
    marked = {"storageclass.kubernetes.io/is-default-class": "true"}
    cluster.api.put(STORAGE_CLASS, {"metadata": {"name": "a", "annotations": marked}})
    assert cluster.findings()["storage"].mend == ""


def test_what_is_installed_and_runs_is_good():
    found = installed().findings()
    assert found["hearth-gateway"].says == "1 of 1 ready"
    assert not found["hearth-controller"].is_fault


def test_what_does_not_run_says_why():
    cluster = installed(ready=0)
    waiting = {"reason": "ErrImageNeverPull", "message": "image is not there"}
    pod = {
        "metadata": {"name": "p", "labels": {"app.kubernetes.io/name": "hearth-gateway"}},
        "status": {"containerStatuses": [{"state": {"waiting": waiting}}]},
    }
    cluster.api.put(POD, pod, "hearth-system")
    found = cluster.findings()["hearth-gateway"]
    assert found.is_fault
    assert "ErrImageNeverPull: image is not there" in found.says


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param([{"ip": "192.0.2.1"}], "http://192.0.2.1", id="given"),
        pytest.param([], "port 31000 of each node; no load balancer", id="none"),
    ],
)
def test_where_requests_go_is_said(given, said):
    cluster = installed()
    ports = [{"name": "http", "port": 80, "nodePort": 31000}]
    service = {
        "metadata": {"name": "hearth-gateway"},
        "spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.9", "ports": ports},
        "status": {"loadBalancer": {"ingress": given}},
    }
    cluster.api.put(CORE_SERVICE, service, "hearth-system")
    assert said in cluster.findings()["address"].says
