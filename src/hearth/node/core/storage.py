"""When a pod has taken more of the node's disk than it may: pure.

Source: kubelet's eviction manager (localStorageEviction); the messages are its.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hearth.api.meta import Wire
from hearth.api.quantities import parse_quantity

_STORAGE = "ephemeral-storage"


@dataclass(frozen=True, slots=True)
class Used:
    """Bytes on disk."""

    containers: Mapping[str, int]  #: by container: what it wrote outside volumes, and its log
    volumes: Mapping[str, int]  #: by emptyDir that is on disk


def is_limited(pod_spec: Wire) -> bool:
    """Whether the pod may exceed anything."""
    limited = any(_limit(one) is not None for one in pod_spec.get("containers") or ())
    return limited or bool(size_limits(pod_spec))


def on_disk(pod_spec: Wire) -> list[str]:
    """The names of the emptyDirs that are on disk."""
    return [
        str(volume["name"])
        for volume in pod_spec.get("volumes") or ()
        if volume.get("emptyDir") is not None and volume["emptyDir"].get("medium") != "Memory"
    ]


def size_limits(pod_spec: Wire) -> dict[str, str]:
    """The ``sizeLimit`` of the emptyDirs on disk that have one."""
    names = on_disk(pod_spec)
    return {
        str(volume["name"]): str(volume["emptyDir"]["sizeLimit"])
        for volume in pod_spec.get("volumes") or ()
        if volume.get("name") in names and volume["emptyDir"].get("sizeLimit")
    }


def excess(pod_spec: Wire, used: Used) -> str:
    """What was exceeded; empty when nothing was."""
    for name, limit in size_limits(pod_spec).items():
        if used.volumes.get(name, 0) > parse_quantity(limit):
            return f'Usage of EmptyDir volume "{name}" exceeds the limit "{limit}". '
    containers = pod_spec.get("containers") or ()
    limits = {str(one["name"]): found for one in containers if (found := _limit(one)) is not None}
    for name, limit in limits.items():
        if used.containers.get(name, 0) > parse_quantity(limit):
            said = "exceeded its local ephemeral storage limit"
            return f'Container {name} {said} "{limit}". '
    total = sum(used.containers.values()) + sum(used.volumes.values())
    if (
        limits
        and len(limits) == len(containers)
        and total > sum(map(parse_quantity, limits.values()))
    ):
        said = "Pod ephemeral local storage usage exceeds the total limit of containers"
        return f"{said} {', '.join(limits.values())}. "
    return ""


def _limit(container: Wire) -> str | None:
    limits = (container.get("resources") or {}).get("limits") or {}
    return str(limits[_STORAGE]) if _STORAGE in limits else None
