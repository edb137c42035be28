"""Nodes and pods of a few words."""

from __future__ import annotations

from typing import Any

from hearth.api.meta import Wire


def node(
    name: str,
    *,
    ready: str = "True",
    pods: str = "10",
    labels: dict[str, str] | None = None,
    unschedulable: bool = False,
    taints: Any = (),
    **allocatable: str,
) -> Wire:
    """A node; what is not named is what it has of resources."""
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"unschedulable": unschedulable, "taints": list(taints)},
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "allocatable": {"pods": pods, **allocatable},
        },
    }


_FIELDS = {"nodeSelector", "affinity", "tolerations", "topologySpreadConstraints"}


def pod(*, labels: dict[str, str] | None = None, namespace: str = "default", **more: Any) -> Wire:
    """A pod; ``more`` are fields of its spec, and what its container requests."""
    spec = {name: more.pop(name) for name in list(more) if name in _FIELDS}
    container = {"resources": {"requests": more}} if more else {}
    meta = {"labels": labels or {}, "namespace": namespace}
    return {"metadata": meta, "spec": {"containers": [container], **spec}}
