"""What a pod's status says of its containers."""

from __future__ import annotations

import pytest

from hearth.node.core.containers import Container, Place, phase_of, status_of_pod
from hearth.node.core.lifecycle import Ended

PLACE = Place("10.0.0.2", "127.0.0.1")


def pod(**spec):
    return {"metadata": {"name": "p"}, "spec": spec, "status": {}}


def app(name="app", **fields):
    return Container({"name": name, "image": "hello:1", **fields})


def ended(code, message=""):
    return Ended(code, "Error" if code else "Completed", message, 1.0, 2.0)


def described(*containers, wire=None):
    return status_of_pod(wire or pod(), containers, PLACE, "now", str)


def test_a_pod_is_ready_when_all_containers_are():
    one, two = app("one"), app("two")
    for container in (one, two):
        container.runs(1.0)
    one.ready = True
    ready = {c["type"]: c for c in described(one, two)["conditions"]}["Ready"]
    assert (ready["status"], ready["reason"]) == ("False", "ContainersNotReady")
    assert ready["message"] == "containers with unready status: [two]"
    two.ready = True
    assert {c["type"]: c["status"] for c in described(one, two)["conditions"]}["Ready"] == "True"


def test_why_a_container_waits_is_told():
    container = app()
    container.waits("ImagePullBackOff", 'Back-off pulling image "hello:1"')
    status = described(container)
    waiting = status["containerStatuses"][0]["state"]["waiting"]
    assert waiting == {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "hello:1"'}
    assert status["phase"] == "Pending"


def test_the_last_run_is_kept():
    container = app()
    container.runs(1.0)
    container.ends(ended(3, "no such table"))
    container.restarts = 1
    container.waits("CrashLoopBackOff", "back-off 10s")
    last = described(container)["containerStatuses"][0]["lastState"]["terminated"]
    assert (last["exitCode"], last["message"]) == (3, "no such table")


@pytest.mark.parametrize(
    ("policy", "codes", "phase"),
    [
        ("Never", (0, 0), "Succeeded"),
        ("Never", (0, 1), "Failed"),
        ("OnFailure", (0, 1), "Running"),
        ("Always", (0, 0), "Running"),
    ],
)
def test_phase_follows_how_containers_ended(policy, codes, phase):
    containers = [app(str(number)) for number in range(len(codes))]
    for container, code in zip(containers, codes, strict=True):
        container.runs(1.0)
        container.ends(ended(code))
    assert phase_of(containers, policy) == phase


def test_a_pod_waits_for_its_init_containers():
    first = Container({"name": "first"}, init=True)
    first.runs(1.0)
    assert phase_of([first, app()], "Always") == "Pending"
    first.ends(ended(0))
    second = app()
    second.runs(2.0)
    assert phase_of([first, second], "Always") == "Running"
    assert described(first, second)["initContainerStatuses"][0]["ready"]


def test_restarts_wait_longer_and_longer_until_a_run_lasts():
    container = app()
    container.runs(0.0)
    pauses = []
    for _ in range(8):
        pauses.append(container.pause_s(1.0))
        container.restarts += 1
    assert pauses == [0, 10, 20, 40, 80, 160, 300, 300]
    assert container.pause_s(601.0) == 10


def test_init_containers_are_run_once():
    first = Container({"name": "first"}, init=True)
    assert not first.restarts_after("Always", 0)
    assert first.restarts_after("Always", 1)
    assert not first.restarts_after("Never", 1)
    sidecar = Container({"name": "log", "restartPolicy": "Always"}, init=True)
    assert sidecar.restarts_after("Never", 0)


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
    ],
)
def test_quality_of_service_follows_resources(resources, quality):
    assert described(app(resources=resources))["qosClass"] == quality
