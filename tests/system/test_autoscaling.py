"""Scaling by what pods use, and what is told of a revision's scale, on a running platform."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading

import pytest

from hearth.api.kinds import (
    ENDPOINT_SLICE,
    HORIZONTAL_POD_AUTOSCALER,
    POD,
    POD_AUTOSCALER,
    POD_METRICS,
    REVISION,
    SERVERLESS_SERVICE,
)
from hearth.api.names import SERVICE_LABEL
from hearth.api.quantities import parse_quantity
from tests.system.running import eventually

BURN = """
import time

def handle(request):
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    return "burnt"
"""
IDLE = "def handle(request):\n    return 'idle'\n"


@pytest.fixture
def deployed(running, source):
    """Deploy and delete a service."""
    names = []

    def deploy(name, text, *annotations, **options):
        named = [part for each in annotations for part in ("--annotation", each)]
        flags = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
        running.hearth("deploy", name, "--source", source(app__py=text), *named, *flags)
        names.append(name)

    yield deploy
    for name in names:
        running.hearth("delete", name)


def of(name):
    return {"label_selector": f"{SERVICE_LABEL}={name}"}


def test_what_pods_use_is_measured(running, deployed):
    deployed("burner", BURN, min_scale=1)
    stop = threading.Event()

    def burn():
        while not stop.is_set():
            running.call("burner")

    burning = threading.Thread(target=burn)
    burning.start()
    try:

        def cpus():
            found = running.api(lambda client: client.list(POD_METRICS, "default", **of("burner")))
            usage = [one["containers"][0]["usage"] for one in found.items]
            return [float(parse_quantity(one["cpu"])) for one in usage]

        eventually(lambda: [c for c in cpus() if c > 0.2], 20, "the app is seen to burn")
    finally:
        stop.set()
        burning.join()
    eventually(lambda: [c for c in cpus() if c < 0.1], 20, "and to rest")
    if shutil.which("kubectl"):
        command = ["kubectl", "top", "pods", "-l", f"{SERVICE_LABEL}=burner"]
        environ = {**os.environ, "KUBECONFIG": running.ready["kubeconfig"]}
        told = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
        assert told.returncode == 0, told.stderr
        assert "MEMORY(bytes)" in told.stdout and "Mi" in told.stdout


def test_memory_decides_where_the_revision_asks_for_it(running, deployed):
    deployed(
        "large", IDLE, "autoscaling.knative.dev/class=hpa.autoscaling.knative.dev",
        "autoscaling.knative.dev/metric=memory", "autoscaling.knative.dev/target=1", max_scale=3,
    )  # fmt: skip

    def replicas():
        return running.api(lambda client: client.get(REVISION, "default", "large-00001"))["status"]

    eventually(lambda: replicas().get("actualReplicas") == 3, 40, "memory makes it three pods")
    told = running.api(
        lambda client: client.get(HORIZONTAL_POD_AUTOSCALER, "default", "large-00001")
    )
    current = told["status"]["currentMetrics"][0]["resource"]["current"]["averageValue"]
    assert parse_quantity(current) > parse_quantity("1Mi")


def test_a_pod_autoscaler_follows_its_revision(running, deployed):
    deployed("followed", IDLE, "autoscaling.knative.dev/window=6s")

    def told():
        found = running.api(lambda client: client.get(POD_AUTOSCALER, "default", "followed-00001"))
        states = {one["type"]: one["status"] for one in found["status"]["conditions"]}
        status = found["status"]
        return states["Active"], status["desiredScale"], status["actualScale"]

    eventually(lambda: told() == ("True", 1, 1), 20, "it is active")
    eventually(lambda: told() == ("False", 0, 0), 30, "it goes to zero")
    running.call("followed")
    eventually(lambda: told() == ("True", 1, 1), 20, "it is active again")


def places(running, service, namespace="default"):
    """The addresses of a service's EndpointSlices."""
    selector = f"kubernetes.io/service-name={service}"
    found = running.api(
        lambda client: client.list(ENDPOINT_SLICE, namespace, label_selector=selector)
    )
    return {
        address
        for one in found.items
        for endpoint in one["endpoints"]
        for address in endpoint["addresses"]
    }


def test_where_requests_go_is_told_at_zero_and_with_pods(running, deployed):
    held = places(running, "activator-service", "knative-serving")
    assert len(held) == 1, "the gateway says where it holds requests"
    eager = "autoscaling.knative.dev/target-burst-capacity=0"
    deployed("told", IDLE, "autoscaling.knative.dev/window=6s", eager, initial_scale=0)
    eventually(lambda: places(running, "told-00001") == held, 5, "they are held at zero")
    assert running.call("told").body == b"idle"

    def mode():
        wire = running.api(lambda client: client.get(SERVERLESS_SERVICE, "default", "told-00001"))
        return wire["spec"]["mode"]

    eventually(lambda: mode() == "Serve", 10, "they go to the pod")
    [pod] = running.api(lambda client: client.list(POD, "default", **of("told"))).items
    assert places(running, "told-00001") == {pod["status"]["podIP"]}
    eventually(lambda: mode() == "Proxy", 20, "and are held again")
    assert places(running, "told-00001") == held
