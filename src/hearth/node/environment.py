"""A container's environment as the node knows it: also the pod's addresses and node's size."""

from __future__ import annotations

from collections.abc import Mapping

from hearth.api.meta import Wire, namespace_of, spec_of, status_of
from hearth.client import Client
from hearth.runtime.environment import EnvironmentFault, expand, resolve_environment

__all__ = ["EnvironmentFault", "container_environment", "expand"]


async def container_environment(
    client: Client,
    pod: Wire,
    container: Wire,
    *,
    ip: str = "",
    host_ip: str = "",
    allocatable: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The variables of a container of the pod, in the order in which they are to be set.

    Args:
        client: to read ConfigMaps and Secrets with.
        pod: as stored.
        container: one of its containers.
        ip: of the pod, for ``status.podIP``, which its status may not have yet.
        host_ip: of the node, for ``status.hostIP``.
        allocatable: of the node, for a ``resourceFieldRef`` to a limit that is not set.

    Raises:
        EnvironmentFault: something that it names is missing; the message is kubelet's.
    """
    known: Wire = {}
    if ip:
        known |= {"podIP": ip, "podIPs": [{"ip": ip}]}
    if host_ip:
        known |= {"hostIP": host_ip, "hostIPs": [{"ip": host_ip}]}
    seen = {**pod, "spec": spec_of(pod), "status": {**status_of(pod), **known}}
    return await resolve_environment(client, namespace_of(pod), container, seen, allocatable)
