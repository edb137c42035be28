"""Why no pod of a revision is ready: from its PooledReplicaSet, or else from the pods.

Source: knative.dev/serving pkg/reconciler/revision/reconcile_resources.go. Reasons of code that
cannot run are ``hearth.loader.protocol``'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hearth.api.meta import Wire, condition_of, is_deleting, spec_of, status_of

#: The container is at fault: the code, or the image.
_CONTAINER_REASONS = frozenset(
    {
        "CodeUnavailable", "CodeInvalid", "ImportFailed", "ExitedEarly", "NotListening",
        "CrashLoopBackOff", "OOMKilled",
    }
)  # fmt: skip
#: Waiting reasons of a container whose image cannot be had.
_NO_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"})
#: Waiting reasons that waiting alone does not cure.
_HOPELESS = _NO_IMAGE | {
    "CreateContainerConfigError", "CreateContainerError", "RunContainerError",
}  # fmt: skip
#: The same, where it is the node that lacks something.
_NO_PLACE = frozenset({"CreatePodSandboxError", "NoContainerRuntime"})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no ready pod."""

    reason: str
    message: str
    of_container: bool  #: else it is the platform that has no place for it


def failure_of_set(replica_set: Wire) -> Failure | None:
    """What the PooledReplicaSet's condition ``ReplicaFailure`` says."""
    condition = condition_of(replica_set, "ReplicaFailure")
    if condition is None or condition.get("status") != "True":
        return None
    reason = str(condition.get("reason") or "ReplicaFailure")
    template = spec_of(replica_set).get("template") or {}
    images = [str(one.get("image") or "") for one in spec_of(template).get("containers") or ()]
    if missing := _missing(reason, str(condition.get("message") or ""), *images):
        return missing
    message = str(condition.get("message") or "")
    if reason.startswith("ExitCode"):
        return Failure(reason, f"Container failed with: {message}", of_container=True)
    return Failure(reason, message, of_container=reason in _CONTAINER_REASONS | _HOPELESS)


def failure_of_pods(pods: Iterable[Wire], *, timed_out: bool) -> Failure | None:
    """What the first pod with a complaint says; pods on their way out do not count.

    Args:
        pods: the revision's, none of them ready.
        timed_out: whether the revision had its time: then a container that waits has failed.
    """
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"].get("name"))):
        if not is_deleting(pod) and (found := _failure_of_pod(pod, timed_out=timed_out)):
            return found
    return None


def _failure_of_pod(pod: Wire, *, timed_out: bool) -> Failure | None:
    for container in status_of(pod).get("initContainerStatuses") or ():
        ended = _ended(container)  # with 0 it has done its work
        if (ended and ended.get("exitCode")) or _waits(container)[0] in _HOPELESS:
            return _failure_of_container(container, timed_out=timed_out)
    for container in status_of(pod).get("containerStatuses") or ():
        if found := _failure_of_container(container, timed_out=timed_out):
            return found
    placed = condition_of(pod, "PodScheduled") or {}
    if placed.get("status") == "False":
        said = str(placed.get("message") or "")
        return Failure(str(placed.get("reason") or "Unschedulable"), said, of_container=False)
    return None


def _failure_of_container(container: Wire, *, timed_out: bool) -> Failure | None:
    if ended := _ended(container):
        return _exited(ended)
    reason, message = _waits(container)
    if missing := _missing(reason, message, str(container.get("image") or "")):
        return missing
    if reason in _HOPELESS | _NO_PLACE:
        return Failure(reason, message, of_container=reason in _HOPELESS)
    return Failure(reason, message, of_container=False) if reason and timed_out else None


def _missing(reason: str, message: str, *images: str) -> Failure | None:
    """That an image cannot be had by its tag, if that is it.

    Knative finds this out when it asks for the tag's digest, before there is a pod; with a digest
    it says what the pod says.
    """
    if reason not in _NO_IMAGE or all("@" in image for image in images):
        return None
    named = ", ".join(f'"{image}"' for image in images)
    return Failure("ContainerMissing", f"Unable to fetch image {named}: {message}", True)


def _ended(container: Wire) -> Wire | None:
    state, last = container.get("state") or {}, container.get("lastState") or {}
    found: Wire | None = last.get("terminated") or state.get("terminated")
    return found


def _waits(container: Wire) -> tuple[str, str]:
    """Reason and message of a container that waits; empty for another one."""
    waiting = (container.get("state") or {}).get("waiting") or {}
    return str(waiting.get("reason") or ""), str(waiting.get("message") or "")


def _exited(terminated: Wire) -> Failure:
    code, message = int(terminated.get("exitCode") or 0), str(terminated.get("message") or "")
    if code == 0 and not message:
        message = "container exited with no error"
    return Failure(f"ExitCode{code}", f"Container failed with: {message}", of_container=True)
