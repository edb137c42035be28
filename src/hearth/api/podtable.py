"""What kubectl shows of a pod: pure.

Source: k8s.io/kubernetes pkg/printers/internalversion/printers.go (printPod).
"""

from __future__ import annotations

from collections.abc import Sequence

from hearth.api.meta import Wire, is_condition_true, is_deleting, spec_of, status_of


def ready_containers(pod: Wire) -> str:
    """``READY``: how many of the containers that serve are, sidecars too."""
    statuses = [*_statuses(pod), *(one for one in _inits(pod) if _is_sidecar(pod, one))]
    ready = sum(bool(one.get("ready")) for one in statuses)
    sidecars = [one for one in spec_of(pod).get("initContainers") or () if _always(one)]
    return f"{ready}/{len(spec_of(pod).get('containers') or ()) + len(sidecars)}"


def restarts(pod: Wire) -> int:
    """``RESTARTS``: of the containers that serve, or of init containers until those are done."""
    inits = _inits(pod)
    counted = [*_statuses(pod), *(one for one in inits if _is_sidecar(pod, one))]
    if _initialising(pod, inits):
        counted = list(inits)
    return sum(int(one.get("restartCount") or 0) for one in counted)


def state(pod: Wire) -> str:
    """``STATUS``."""
    if is_deleting(pod):
        return "Terminating"
    status = status_of(pod)
    reason = str(status.get("reason") or status.get("phase") or "Unknown")
    if said := _initialising(pod, _inits(pod)):
        return said
    return _of_containers(pod, reason)


def _of_containers(pod: Wire, reason: str) -> str:
    running = False
    for one in reversed(_statuses(pod)):
        now = one.get("state") or {}
        waiting, ended = now.get("waiting") or {}, now.get("terminated")
        if waiting.get("reason"):
            reason = str(waiting["reason"])
        elif ended is not None:
            reason = _ended(ended)
        elif one.get("ready") and "running" in now:
            running = True
    if reason == "Completed" and running:
        return "Running" if is_condition_true(pod, "Ready") else "NotReady"
    return reason


def _initialising(pod: Wire, inits: Sequence[Wire]) -> str:
    """What the first init container that is not done is about; empty when all are."""
    total = len(spec_of(pod).get("initContainers") or ())
    for number, one in enumerate(inits):
        now = one.get("state") or {}
        waiting, ended = now.get("waiting") or {}, now.get("terminated")
        if ended is not None and not ended.get("exitCode"):
            continue
        if _is_sidecar(pod, one) and one.get("started"):
            continue
        if ended is not None:
            return f"Init:{_ended(ended)}"
        if waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
            return f"Init:{waiting['reason']}"
        return f"Init:{number}/{total}"
    return ""


def _ended(ended: Wire) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    if ended.get("signal"):
        return f"Signal:{ended['signal']}"
    return f"ExitCode:{ended.get('exitCode')}"


def _statuses(pod: Wire) -> Sequence[Wire]:
    found: Sequence[Wire] = status_of(pod).get("containerStatuses") or ()
    return found


def _inits(pod: Wire) -> Sequence[Wire]:
    found: Sequence[Wire] = status_of(pod).get("initContainerStatuses") or ()
    return found


def _is_sidecar(pod: Wire, status: Wire) -> bool:
    inits = spec_of(pod).get("initContainers") or ()
    return any(one.get("name") == status.get("name") and _always(one) for one in inits)


def _always(container: Wire) -> bool:
    return bool(container.get("restartPolicy") == "Always")
