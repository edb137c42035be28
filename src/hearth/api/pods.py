"""What can be said of a pod: whether it answers, and where."""

from __future__ import annotations

from typing import Any

from hearth.api.meta import (
    Wire,
    annotations_of,
    is_condition_true,
    is_deleting,
    labels_of,
    spec_of,
    status_of,
)
from hearth.api.names import APP_PORT_ANNOTATION, REVISION_LABEL, USER_CONTAINER, USER_PORT


def has_begun(pod: Wire) -> bool:
    """Whether the user's container runs, or has run."""
    own = user_container(spec_of(pod)).get("name")
    for status in status_of(pod).get("containerStatuses") or ():
        if status.get("name") == own:
            return bool({"running", "terminated"} & (status.get("state") or {}).keys())
    return False


def is_ready(pod: Wire) -> bool:
    """Whether the pod runs, is not on its way out, and its condition Ready is True."""
    return (
        not is_deleting(pod)
        and status_of(pod).get("phase") == "Running"
        and bool(status_of(pod).get("podIP"))
        and is_condition_true(pod, "Ready")
    )


def is_routable(pod: Wire) -> bool:
    """Whether requests of a revision may be sent to the pod."""
    return REVISION_LABEL in labels_of(pod) and is_ready(pod)


def is_finished(pod: Wire) -> bool:
    """Whether the pod's containers have ended for good."""
    return status_of(pod).get("phase") in ("Succeeded", "Failed")


def user_container(pod_spec: Wire) -> dict[str, Any]:
    """The container that serves: the one with a port, else the one of Knative's name, else first.

    Source:
        Knative's runtime contract: of several containers exactly one has a port.
    """
    containers = pod_spec.get("containers") or [{}]
    for container in containers:
        if container.get("ports"):
            return dict(container)
    for container in containers:
        if container.get("name") == USER_CONTAINER:
            return dict(container)
    return dict(containers[0])


def container_port(pod_spec: Wire) -> int:
    """The port the app is told to listen on."""
    for port in user_container(pod_spec).get("ports") or ():
        return int(port.get("containerPort") or USER_PORT)
    return USER_PORT


def app_address(pod: Wire, revision_port: int | None = None) -> tuple[str, int]:
    """IP and port of the app in the pod.

    Args:
        pod: one with a ``podIP``.
        revision_port: the port its revision asks for; a claimed pod's own spec is its pool's.
    """
    own = annotations_of(pod).get(APP_PORT_ANNOTATION)
    port = int(own) if own else revision_port or container_port(spec_of(pod))
    return str(status_of(pod).get("podIP") or ""), port
