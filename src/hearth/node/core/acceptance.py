"""What the process runtime can run: pure."""

from __future__ import annotations

from collections.abc import Collection

from hearth.api.code import is_runtime
from hearth.api.meta import Wire, annotations_of, labels_of
from hearth.api.names import (
    CODE_ANNOTATION,
    PODPOOL_LABEL,
    PYTHON_RUNTIME_IMAGE,
    RUNTIME_IMAGE_PREFIX,
)
from hearth.node.core.storage import is_limited


def is_warm(pod: Wire) -> bool:
    """Whether the pod waits for a claim to say what it becomes."""
    return PODPOOL_LABEL in labels_of(pod)


def codeless(pod: Wire) -> tuple[str, str]:
    """Reason and message why there is nothing to run in the pod; empty strings when there is."""
    if is_warm(pod) or CODE_ANNOTATION in annotations_of(pod):
        return "", ""
    said = (
        f"annotation {CODE_ANNOTATION} is missing: the image is a runtime, and runs what it names"
    )
    return "CreateContainerConfigError", said


def needs_containers(pod_spec: Wire) -> bool:
    """Whether the pod has images other than our runtimes, which processes cannot run."""
    return any(
        not is_runtime(str(container.get("image") or ""))
        for container in pod_spec.get("containers") or ()
    )


def refusal(pod_spec: Wire, runtimes: Collection[str] = (PYTHON_RUNTIME_IMAGE,)) -> tuple[str, str]:
    """Reason and message why pods of this spec cannot run here; empty strings when they can."""
    containers = pod_spec.get("containers") or ()
    for container in containers:
        image = str(container.get("image") or "")
        if image in runtimes:
            continue
        if is_runtime(image):
            known = ", ".join(sorted(runtimes))
            return "ErrImagePull", f"image {image}: no such runtime, this node has {known}"
        said = f"image {image}: a process runs only {RUNTIME_IMAGE_PREFIX}*"
        return "ErrImagePull", said
    if len(containers) != 1:
        said = f"{len(containers)} containers: the process runtime runs one"
        return "CreateContainerConfigError", said
    for name in ("initContainers", "hostNetwork", "hostPID", "runtimeClassName"):
        if pod_spec.get(name):
            said = f"{name}: the process runtime does not have it"
            return "CreateContainerConfigError", said
    if any(container.get("lifecycle") for container in containers):
        return "CreateContainerConfigError", "lifecycle: the process runtime has no hooks"
    return "", ""


def without_effect(pod_spec: Wire, *, networks: bool) -> list[str]:
    """What the pod asks for that a process does not get, though it runs without it.

    Args:
        pod_spec: of the pod.
        networks: whether pods have networks of their own here, and with them an ``/etc/hosts``.
    """
    names = ["hostIPC"] if networks else ["hostAliases", "dnsConfig", "hostIPC"]
    found = [name for name in names if pod_spec.get(name)]
    if is_limited(pod_spec):
        found.append("a limit of ephemeral-storage or of an emptyDir on disk")
    contexts = [pod_spec, *(pod_spec.get("containers") or ())]
    for context in (holder.get("securityContext") or {} for holder in contexts):
        found += [
            f"securityContext.{name}"
            for name in ("privileged", "readOnlyRootFilesystem", "procMount", "seLinuxOptions",
                         "appArmorProfile", "sysctls")
            if context.get(name)
        ]  # fmt: skip
        if (context.get("capabilities") or {}).get("add"):
            found.append("securityContext.capabilities.add")
        if (context.get("seccompProfile") or {}).get("type") == "Localhost":
            found.append("securityContext.seccompProfile")
    return found
