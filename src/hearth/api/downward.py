"""What a pod may be told of itself: its fields and its containers' resources.

Source: kubelet's pkg/fieldpath and pkg/api/v1/resource (downward API).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hearth.api.meta import Wire, spec_of
from hearth.api.quantities import parse_quantity

_ONE_OF_MAP = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]$")
_MAPS = ("metadata.labels", "metadata.annotations")


def field_value(pod: Wire, path: str) -> str:
    """The text of a ``fieldRef``: a map is ``key="value"`` a line, what is not known yet empty.

    Raises:
        ValueError: the pod has no such field.
    """
    if found := _ONE_OF_MAP.match(path):
        values = (pod.get("metadata") or {}).get(found[1]) or {}
        return str(values.get(found[2], ""))
    value: Any = pod
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    if path in _MAPS:
        return "\n".join(f"{k}={_quoted(str(v))}" for k, v in sorted((value or {}).items()))
    if path == "status.podIPs":
        return ",".join(str(one.get("ip")) for one in value or ())
    if path == "status.hostIPs":
        return ",".join(str(one.get("ip")) for one in value or ())
    if value is None and not path.startswith("status.") and path != "spec.nodeName":
        raise ValueError(f"the pod has no field {path}")
    return str(value or "")


def resource_value(
    pod: Wire, reference: Wire, container_name: str, allocatable: Mapping[str, str]
) -> str:
    """The number of a ``resourceFieldRef``, in units of its divisor, rounded up.

    Args:
        pod: whose containers are asked.
        reference: ``resource`` (``limits.cpu``, …), ``divisor`` and perhaps ``containerName``.
        container_name: of the container that asks.
        allocatable: of the node: what a container without a limit may use.

    Raises:
        ValueError: there is no such container or resource.
    """
    wanted = reference.get("containerName") or container_name
    spec = spec_of(pod)
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    for container in containers:
        if container.get("name") == wanted:
            break
    else:
        raise ValueError(f"container {wanted} not found")
    which, _, resource = str(reference.get("resource")).partition(".")
    if which not in ("limits", "requests") or not resource:
        raise ValueError(f"unsupported container resource : {reference.get('resource')}")
    resources = container.get("resources") or {}
    amount = (resources.get(which) or {}).get(resource)
    if amount is None:
        amount = allocatable.get(resource, "0") if which == "limits" else "0"
    divisor = parse_quantity(str(reference.get("divisor") or "1")) or Decimal(1)
    return str(math.ceil(parse_quantity(str(amount)) / divisor))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
