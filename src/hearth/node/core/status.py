"""A pod's status from its machine: pure.

Source: k8s.io/api/core/v1 PodStatus; kubelet's GeneratePodConditions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hearth.api.meta import (
    Wire,
    merge_conditions,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
)
from hearth.node.core.containers import terminated
from hearth.node.core.lifecycle import PodMachine

#: Formats a time of the node's clock (seconds since the epoch) as RFC 3339.
Format = Callable[[float], str]


def pod_status(pod: Wire, machine: PodMachine, ip: str, host_ip: str, at: str, fmt: Format) -> Wire:
    """The status to write for the pod."""
    phase = _phase(machine)
    containers = spec_of(pod).get("containers") or ()
    status: Wire = {
        "phase": phase,
        "conditions": _conditions(pod, machine, phase, at),
        "hostIP": host_ip,
        "containerStatuses": [_container(pod, c, machine, fmt) for c in containers],
        "startTime": status_of(pod).get("startTime") or at,
    }
    if ip:
        status |= {"podIP": ip, "podIPs": [{"ip": ip}]}
    return status


def _phase(machine: PodMachine) -> str:
    match machine.state:
        case "running" | "draining" | "stopping":
            return "Running"
        case "ended":
            return "Succeeded" if machine.last and machine.last.code == 0 else "Failed"
        case "waiting" if machine.restarts:
            return "Running"
    return "Pending"


def _conditions(pod: Wire, machine: PodMachine, phase: str, at: str) -> list[Wire]:
    was = status_of(pod).get("conditions") or ()
    ready = "True" if machine.ready else "False"
    why: dict[str, str] = {}
    if not machine.ready:
        done = phase in ("Succeeded", "Failed")
        why["reason"] = "PodCompleted" if done else "ContainersNotReady"
        if machine.waiting_message or (machine.last and machine.last.message):
            assert machine.last or machine.waiting_message
            last = machine.last.message if machine.last else ""
            why["message"] = last or machine.waiting_message
    now = [
        {"type": "PodScheduled", "status": "True"},
        {"type": "Initialized", "status": "True"},
        {"type": "ContainersReady", "status": ready, **why},
        {"type": "Ready", "status": ready, **why},
    ]
    return merge_conditions(was, now, at)


def _container(pod: Wire, container: Wire, machine: PodMachine, fmt: Format) -> Wire:
    status: dict[str, Any] = {
        "name": container.get("name"),
        "image": container.get("image"),
        "imageID": "",
        "ready": machine.ready,
        "started": machine.state in ("running", "draining", "stopping"),
        "restartCount": machine.restarts,
        "state": _state(pod, container, machine, fmt),
    }
    if machine.last is not None and machine.state != "ended":
        status["lastState"] = {"terminated": terminated(machine.last, fmt)}
    return status


def _state(pod: Wire, container: Wire, machine: PodMachine, fmt: Format) -> Wire:
    if machine.state == "ended" and machine.last is not None:
        return {"terminated": terminated(machine.last, fmt)}
    if machine.state in ("running", "draining", "stopping"):
        return {"running": {"startedAt": fmt(machine.started_s)}}
    reason = machine.waiting_reason or "ContainerCreating"
    waiting = {"reason": reason}
    if machine.waiting_message:
        waiting["message"] = machine.waiting_message
    if reason == "CrashLoopBackOff":
        where = f"{name_of(pod)}_{namespace_of(pod)}({uid_of(pod)})"
        waiting["message"] += f"={container.get('name')} pod={where}"
    return {"waiting": waiting}
