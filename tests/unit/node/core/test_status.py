from hearth.node.core.lifecycle import Asked, BecameReady, Exited, Placed, PodMachine, Refused
from hearth.node.core.status import pod_status

POD = {"spec": {"containers": [{"name": "user-container", "image": "i"}]}}
AT = "2026-01-01T00:00:00Z"


def status(policy, *events, pod=POD, ip="10.0.0.1"):
    machine = PodMachine(policy, drain_s=0)
    for event in events:
        machine.on(event)
    return pod_status(pod, machine, ip, "127.0.0.1", AT, lambda s: f"t{s:g}")


def condition(found, kind):
    return next(c for c in found["conditions"] if c["type"] == kind)


def test_a_ready_pod():
    found = status("Always", Asked(), Placed(3), BecameReady())
    assert (found["phase"], found["podIP"]) == ("Running", "10.0.0.1")
    assert condition(found, "Ready")["status"] == "True"
    [container] = found["containerStatuses"]
    assert container["state"] == {"running": {"startedAt": "t3"}}
    assert (container["ready"], container["restartCount"]) == (True, 0)


def test_a_pod_that_starts_has_no_address_yet():
    found = status("Always", Asked(), ip="")
    assert found["phase"] == "Pending"
    assert "podIP" not in found
    waiting = found["containerStatuses"][0]["state"]["waiting"]
    assert waiting == {"reason": "ContainerCreating"}


def test_what_cannot_run_says_why():
    found = status("Always", Refused("ErrImagePull", "no runtime"))
    waiting = found["containerStatuses"][0]["state"]["waiting"]
    assert waiting == {"reason": "ErrImagePull", "message": "no runtime"}
    assert condition(found, "Ready")["message"] == "no runtime"


def test_a_failed_pod_keeps_its_exit_code_and_last_words():
    found = status("Never", Asked(), Placed(3), Exited(5, 3, "Error", "bye"))
    assert found["phase"] == "Failed"
    assert condition(found, "Ready")["reason"] == "PodCompleted"
    ended = found["containerStatuses"][0]["state"]["terminated"]
    assert ended == {"exitCode": 3, "reason": "Error", "startedAt": "t3", "finishedAt": "t5",
                     "message": "bye"}  # fmt: skip


def test_a_signal_is_told_and_success_is_success():
    killed = status("Never", Asked(), Placed(3), Exited(5, -9, "Error", ""))
    ended = killed["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["signal"]) == (137, 9)
    assert (
        status("Never", Asked(), Placed(3), Exited(5, 0, "Completed", ""))["phase"] == "Succeeded"
    )


def test_a_restarting_pod_shows_its_last_state():
    found = status("Always", Asked(), Placed(3), Exited(5, 1, "Error", "bye"))
    [container] = found["containerStatuses"]
    assert container["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert container["lastState"]["terminated"]["message"] == "bye"
    assert (container["restartCount"], found["phase"]) == (1, "Running")


def test_transition_times_are_kept_while_a_condition_stands():
    was = {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "before"}]}
    pod = {**POD, "status": was}
    found = status("Always", Asked(), Placed(3), BecameReady(), pod=pod)
    assert condition(found, "Ready")["lastTransitionTime"] == "before"
