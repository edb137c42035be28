import pytest

from hearth.controllers.revision.core.diagnosis import Failure, failure_of_pods, failure_of_set


def replica_set(reason, status="True"):
    one = {"type": "ReplicaFailure", "status": status, "reason": reason, "message": "why"}
    return {"status": {"conditions": [one]}}


@pytest.mark.parametrize(
    ("given", "want"),
    [
        pytest.param({"status": {}}, None, id="nothing-said"),
        pytest.param(replica_set("ImportFailed", "False"), None, id="no-longer"),
        pytest.param(replica_set("ImportFailed"), Failure("ImportFailed", "why", True), id="code"),
        pytest.param(
            replica_set("ExitCode3"),
            Failure("ExitCode3", "Container failed with: why", True),
            id="exit-code",
        ),
        pytest.param(
            replica_set("ImagePullBackOff"), Failure("ImagePullBackOff", "why", True), id="image"
        ),
        pytest.param(
            {
                **replica_set("ErrImagePull"),
                "spec": {"template": {"spec": {"containers": [{"image": "app:1"}]}}},
            },
            Failure("ContainerMissing", 'Unable to fetch image "app:1": why', True),
            id="tag",
        ),
        pytest.param(replica_set("NoCapacity"), Failure("NoCapacity", "why", False), id="no-room"),
        pytest.param(replica_set(""), Failure("ReplicaFailure", "why", False), id="no-reason"),
    ],
)
def test_what_the_set_says(given, want):
    assert failure_of_set(given) == want


def pod(name="p", *, deleting=False, conditions=(), **container):
    meta = {"name": name} | ({"deletionTimestamp": "now"} if deleting else {})
    statuses = [container] if container else []
    return {
        "metadata": meta,
        "status": {"containerStatuses": statuses, "conditions": list(conditions)},
    }


def exited(code, message=""):
    return {"terminated": {"exitCode": code, "message": message}}


def waits(reason, message=""):
    return {"waiting": {"reason": reason, "message": message}}


def init(pod, **container):
    return {**pod, "status": {**pod["status"], "initContainerStatuses": [container]}}


CRASHED = pod(state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState=exited(1, "boom"))
PULLING = pod(image="app@sha256:1", state=waits("ErrImagePull", "no such image"))
STARTING = pod(state={"waiting": {"reason": "ContainerCreating", "message": "soon"}})
HOMELESS = pod(
    conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                 "message": "0/1 nodes"}],
)  # fmt: skip
NO_ERROR = "Container failed with: container exited with no error"


@pytest.mark.parametrize(
    ("pods", "timed_out", "want"),
    [
        pytest.param([], True, None, id="no-pods"),
        pytest.param([pod(state={"running": {}})], True, None, id="running"),
        pytest.param(
            [CRASHED], False, Failure("ExitCode1", "Container failed with: boom", True), id="crash"
        ),
        pytest.param([pod(state=exited(0))], False, Failure("ExitCode0", NO_ERROR, True), id="end"),
        pytest.param([PULLING], False, Failure("ErrImagePull", "no such image", True), id="digest"),
        pytest.param(
            [pod(image="app:1", state=waits("ImagePullBackOff", "no such tag"))],
            False,
            Failure("ContainerMissing", 'Unable to fetch image "app:1": no such tag', True),
            id="tag",
        ),
        pytest.param(
            [pod(state=waits("CreatePodSandboxError", "no handler"))],
            False,
            Failure("CreatePodSandboxError", "no handler", False),
            id="the-node-lacks-something",
        ),
        pytest.param(
            [pod(state=waits("CreateContainerConfigError", 'secret "s" not found'))],
            False,
            Failure("CreateContainerConfigError", 'secret "s" not found', True),
            id="secret",
        ),
        pytest.param(
            [init(pod(state=waits("PodInitializing")), state=exited(0))], False, None, id="init-did"
        ),
        pytest.param(
            [init(pod(state=waits("PodInitializing")), state=exited(3, "no db"))],
            False,
            Failure("ExitCode3", "Container failed with: no db", True),
            id="init-failed",
        ),
        pytest.param(
            [
                init(
                    pod(state=waits("PodInitializing")),
                    state=waits("ErrImagePull", "gone"),
                    image="setup:1",
                )
            ],
            False,
            Failure("ContainerMissing", 'Unable to fetch image "setup:1": gone', True),
            id="init-image",
        ),
        pytest.param([STARTING], False, None, id="starting"),
        pytest.param(
            [STARTING], True, Failure("ContainerCreating", "soon", False), id="starting-too-long"
        ),
        pytest.param(
            [HOMELESS], False, Failure("Unschedulable", "0/1 nodes", False), id="unschedulable"
        ),
        pytest.param(
            [pod(deleting=True, state=exited(1))], True, None, id="a-pod-that-goes-does-not-count"
        ),
        pytest.param(
            [pod("b", state=exited(2, "b")), pod("a", state=exited(1, "a"))],
            False,
            Failure("ExitCode1", "Container failed with: a", True),
            id="first-by-name",
        ),
    ],
)
def test_what_the_pods_say(pods, timed_out, want):
    assert failure_of_pods(pods, timed_out=timed_out) == want
