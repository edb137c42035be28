"""What the process runtime can run: pure."""

from __future__ import annotations

from collections.abc import Collection

from hearth.api.code import is_runtime
from hearth.api.meta import Wire
from hearth.api.names import PYTHON_RUNTIME_IMAGE, RUNTIME_IMAGE_PREFIX


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
        return "ErrImagePull", (
            f"image {image}: this node has no container runtime, it runs only "
            f"{RUNTIME_IMAGE_PREFIX}* as processes"
        )
    if len(containers) != 1:
        said = f"{len(containers)} containers: the process runtime runs one"
        return "CreateContainerConfigError", said
    for name in ("initContainers", "volumes", "hostNetwork", "hostPID", "runtimeClassName"):
        if pod_spec.get(name):
            said = f"{name}: the process runtime does not have it"
            return "CreateContainerConfigError", said
    return "", ""
