"""The pods of a service and what they printed."""

from __future__ import annotations

from hearth.api.errors import ApiError
from hearth.api.kinds import POD
from hearth.api.meta import Wire, name_of, namespace_of
from hearth.api.names import REVISION_LABEL, SERVICE_LABEL
from hearth.cli.session import Session


def pod_selector(service: str, revision: str = "") -> str:
    """The label selector of the service's pods, or of one revision's."""
    own = f"{SERVICE_LABEL}={service}"
    return f"{own},{REVISION_LABEL}={revision}" if revision else own


def log_path(pod: Wire) -> str:
    """Where the API has the pod's log."""
    return POD.path(namespace_of(pod), name_of(pod), "log")


async def last_lines(session: Session, service: str, revision: str, lines: int) -> str:
    """The end of what the revision's pods printed, as far as it can be had."""
    from hearth.client.client import read_all

    said = []
    try:
        selector = pod_selector(service, revision)
        pods = await session.client.list(POD, session.namespace, label_selector=selector)
        for pod in pods.items:
            query = {"tailLines": str(lines)}
            answer = await session.client.raw("GET", log_path(pod), query=query)
            said.append((await read_all(answer)).decode(errors="replace").rstrip())
    except (ApiError, ConnectionError):
        pass  # the pod is gone; the condition's message has what is known
    return "\n".join(text for text in said if text)
