"""The containers of a pod and what the pod's status says of them: pure.

Source: k8s.io/api/core/v1 PodStatus; kubelet's getPhase, GeneratePodReadyCondition and
convertStatusToAPIStatus.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hearth.api.meta import Wire, merge_conditions, spec_of, status_of
from hearth.node.core.lifecycle import BACKOFF_FIRST_S, BACKOFF_MAX_S, BACKOFF_RESET_S, Ended

Format = Callable[[float], str]


@dataclass(slots=True)
class Container:
    """One container over its runs."""

    spec: Wire
    init: bool = False
    state: str = "waiting"  #: waiting, running or terminated
    reason: str = "ContainerCreating"  #: why it waits
    message: str = ""
    ready: bool = False
    started: bool = False  #: its startup probe has passed
    restarts: int = 0
    started_s: float = 0.0
    last: Ended | None = None
    image_id: str = ""
    id: str = ""  #: the runtime's, of the run that is there
    _backoff_s: float = field(default=BACKOFF_FIRST_S)

    @property
    def name(self) -> str:
        """As in the spec."""
        return str(self.spec.get("name"))

    @property
    def sidecar(self) -> bool:
        """Whether it is an init container that goes on running beside the others."""
        return self.init and self.spec.get("restartPolicy") == "Always"

    def waits(self, reason: str, message: str = "") -> None:
        """It does not run, and why."""
        self.state, self.ready, self.started = "waiting", False, False
        self.reason, self.message = reason, message

    def runs(self, at_s: float) -> None:
        """It was started."""
        self.state, self.started_s, self.reason, self.message = "running", at_s, "", ""

    def ends(self, ended: Ended) -> None:
        """It ended."""
        self.state, self.ready, self.started, self.last = "terminated", False, False, ended

    def pause_s(self, ended_s: float) -> float:
        """Seconds to wait before it is started again: none at first, then 10 s doubled to 300 s."""
        if ended_s - self.started_s > BACKOFF_RESET_S:
            self._backoff_s = BACKOFF_FIRST_S
        if not self.restarts:
            return 0.0
        pause_s, self._backoff_s = self._backoff_s, min(BACKOFF_MAX_S, self._backoff_s * 2)
        return pause_s

    def restarts_after(self, policy: str, code: int) -> bool:
        """Whether it is started again after it ended with ``code`` under the pod's ``policy``."""
        if self.init and not self.sidecar:
            return code != 0 and policy != "Never"
        return self.sidecar or policy == "Always" or (policy == "OnFailure" and code != 0)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the pod is."""

    ip: str
    host_ip: str
    evicted: str = ""  #: why it was


def status_of_pod(
    pod: Wire, containers: Sequence[Container], place: Place, at: str, fmt: Format
) -> Wire:
    """The status to write for the pod."""
    policy = str(spec_of(pod).get("restartPolicy") or "Always")
    initialised = all(_initialised(c) for c in containers if c.init)
    phase = phase_of(containers, policy)
    app = [c for c in containers if not c.init]
    status: Wire = {
        "phase": phase,
        "conditions": _conditions(pod, containers, phase, initialised, at),
        "hostIP": place.host_ip,
        "containerStatuses": [_status(c, fmt) for c in app],
        "startTime": status_of(pod).get("startTime") or at,
        "qosClass": _quality(app),
    }
    if inits := [_status(c, fmt) for c in containers if c.init]:
        status["initContainerStatuses"] = inits
    if place.evicted:
        status |= {"phase": "Failed", "reason": "Evicted", "message": place.evicted}
    if place.ip:
        status |= {"podIP": place.ip, "podIPs": [{"ip": place.ip}]}
    return status


def phase_of(containers: Sequence[Container], policy: str) -> str:
    """Pending, Running, Succeeded or Failed."""
    app = [c for c in containers if not c.init]
    for container in containers:
        failed = container.state == "terminated" and container.last and container.last.code
        if container.init and failed and policy == "Never":
            return "Failed"
    if any(c.init and not _initialised(c) for c in containers):
        return "Pending"
    if app and all(c.state == "terminated" for c in app):
        if any(c.restarts_after(policy, c.last.code if c.last else 0) for c in app):
            return "Running"
        return "Failed" if any(c.last and c.last.code for c in app) else "Succeeded"
    if all(c.state == "waiting" and c.last is None for c in app):
        return "Pending"
    return "Running"


def _initialised(container: Container) -> bool:
    if container.sidecar:
        return container.started
    return bool(container.state == "terminated" and container.last and not container.last.code)


def _conditions(
    pod: Wire, containers: Sequence[Container], phase: str, initialised: bool, at: str
) -> list[Wire]:
    unready = [c for c in containers if not c.ready and (not c.init or c.sidecar)]
    why: dict[str, str] = {}
    if unready:
        done = phase in ("Succeeded", "Failed")
        why["reason"] = "PodCompleted" if done else "ContainersNotReady"
        names = " ".join(c.name for c in unready)
        why["message"] = _fault(unready) or f"containers with unready status: [{names}]"
    ready = "False" if unready else "True"
    now = [
        {"type": "PodScheduled", "status": "True"},
        {"type": "Initialized", "status": "True" if initialised else "False"},
        {"type": "ContainersReady", "status": ready, **why},
        {"type": "Ready", "status": ready, **why},
    ]
    return merge_conditions(status_of(pod).get("conditions") or (), now, at)


def _fault(containers: Sequence[Container]) -> str:
    """What the first container that has something to say says."""
    for container in containers:
        if container.last is not None and container.last.message:
            return container.last.message
        if container.message:
            return container.message
    return ""


def _status(container: Container, fmt: Format) -> Wire:
    found: Wire = {
        "name": container.name,
        "image": container.spec.get("image"),
        "imageID": container.image_id,
        "containerID": f"containerd://{container.id}" if container.id else "",
        "ready": container.ready
        or bool(container.init and container.last and not container.last.code),
        "started": container.started,
        "restartCount": container.restarts,
        "state": _state(container, fmt),
    }
    if container.last is not None and container.state != "terminated":
        found["lastState"] = {"terminated": terminated(container.last, fmt)}
    return found


def _state(container: Container, fmt: Format) -> Wire:
    match container.state:
        case "running":
            return {"running": {"startedAt": fmt(container.started_s)}}
        case "terminated" if container.last is not None:
            return {"terminated": terminated(container.last, fmt)}
    waiting = {"reason": container.reason}
    if container.message:
        waiting["message"] = container.message
    return {"waiting": waiting}


def terminated(ended: Ended, fmt: Format) -> Wire:
    """A run's end as ContainerStateTerminated."""
    found: Wire = {
        "exitCode": ended.code if ended.code >= 0 else 128 - ended.code,
        "reason": ended.reason,
        "startedAt": fmt(ended.started_s),
        "finishedAt": fmt(ended.ended_s),
    }
    if ended.message:
        found["message"] = ended.message
    if ended.code < 0:
        found["signal"] = -ended.code
    return found


def _quality(containers: Sequence[Container]) -> str:
    """Guaranteed, Burstable or BestEffort."""
    found = [c.spec.get("resources") or {} for c in containers]
    if not any(r.get("requests") or r.get("limits") for r in found):
        return "BestEffort"
    exact = all(
        {"cpu", "memory"} <= set(r.get("limits") or {})
        and (r.get("requests") or r["limits"]) == r["limits"]
        for r in found
    )
    return "Guaranteed" if exact else "Burstable"
