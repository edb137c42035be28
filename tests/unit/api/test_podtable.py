import pytest

from hearth.api.podtable import ready_containers, restarts, state

RUNNING = {"running": {}}
DONE = {"terminated": {"exitCode": 0, "reason": "Completed"}}
FAILED = {"terminated": {"exitCode": 3, "reason": "Error"}}


def waits(reason):
    return {"waiting": {"reason": reason}}


def pod(*now, inits=(), sidecars=(), phase="Running", ready="True", **status):
    """A pod whose containers, and init containers before them, are in these states."""

    def statuses(kind, states):
        return [
            {"name": f"{kind}{n}", "state": each, "ready": each == RUNNING, "restartCount": n + 1,
             "started": each == RUNNING}
            for n, each in enumerate(states)
        ]  # fmt: skip

    spec = {
        "containers": [{"name": f"c{n}"} for n in range(len(now))],
        "initContainers": [
            {"name": f"i{n}", **({"restartPolicy": "Always"} if n in sidecars else {})}
            for n in range(len(inits))
        ],
    }
    conditions = [{"type": "Ready", "status": ready}]
    own = {"phase": phase, "conditions": conditions, **status}
    own["containerStatuses"] = statuses("c", now)
    own["initContainerStatuses"] = statuses("i", inits)
    return {"metadata": {}, "spec": spec, "status": own}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        pytest.param(pod(RUNNING), ("1/1", "Running", 1), id="running"),
        pytest.param(pod(RUNNING, waits("CrashLoopBackOff")), ("1/2", "CrashLoopBackOff", 3),
                     id="one-of-two"),
        pytest.param(pod(FAILED), ("0/1", "Error", 1), id="ended"),
        pytest.param(pod({"terminated": {"exitCode": 3}}), ("0/1", "ExitCode:3", 1), id="code"),
        pytest.param(pod({"terminated": {"signal": 9}}), ("0/1", "Signal:9", 1), id="signal"),
        pytest.param(pod(DONE, RUNNING), ("1/2", "Running", 3), id="one-is-done"),
        pytest.param(pod(DONE, RUNNING, ready="False"), ("1/2", "NotReady", 3), id="not-ready"),
        pytest.param(pod(waits("PodInitializing"), inits=[DONE, RUNNING]), ("0/1", "Init:1/2", 3),
                     id="the-second-of-two"),
        pytest.param(pod(waits("PodInitializing"), inits=[FAILED]), ("0/1", "Init:Error", 1),
                     id="init-failed"),
        pytest.param(pod(waits("PodInitializing"), inits=[waits("ImagePullBackOff")]),
                     ("0/1", "Init:ImagePullBackOff", 1), id="init-waits"),
        pytest.param(pod(waits("PodInitializing"), inits=[waits("PodInitializing")]),
                     ("0/1", "Init:0/1", 1), id="init-comes"),
        pytest.param(pod(RUNNING, inits=[DONE]), ("1/1", "Running", 1), id="init-done"),
        pytest.param(pod(RUNNING, inits=[RUNNING], sidecars=[0]), ("2/2", "Running", 2),
                     id="sidecar"),
        pytest.param(pod(phase="Failed", reason="Evicted"), ("0/0", "Evicted", 0), id="evicted"),
        pytest.param(pod(phase=""), ("0/0", "Unknown", 0), id="nothing-is-known"),
    ],
)  # fmt: skip
def test_what_kubectl_shows(given, shown):
    assert (ready_containers(given), state(given), restarts(given)) == shown


def test_what_is_deleted_is_terminating():
    going = pod(RUNNING)
    going["metadata"]["deletionTimestamp"] = "now"
    assert state(going) == "Terminating"
