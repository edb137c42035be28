"""Chooses a node for a pod: pure.

Source: why not is said in the words of Kubernetes' scheduler.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from hearth.api.meta import Wire, is_condition_true, labels_of, name_of, spec_of, status_of
from hearth.api.quantities import parse_quantity


def choose_node(
    pod: Wire, nodes: Sequence[Wire], on_node: Mapping[str, Sequence[Wire]]
) -> tuple[str, str]:
    """The node with the fewest pods of those that can take it.

    Args:
        pod: to be placed.
        nodes: all nodes.
        on_node: the pods that each node has.

    Returns:
        The node's name and an empty string, or an empty name and why no node fits.
    """
    if not nodes:
        return "", "there is no node"
    reasons: dict[str, int] = {}
    fitting = []
    for node in nodes:
        pods = on_node.get(name_of(node), ())
        if why := _refusal(pod, node, pods):
            reasons[why] = reasons.get(why, 0) + 1
        else:
            fitting.append((len(pods), name_of(node)))
    if fitting:
        return min(fitting)[1], ""
    said = ", ".join(f"{count} {why}" for why, count in sorted(reasons.items()))
    return "", f"0/{len(nodes)} nodes are available: {said}."


def _refusal(pod: Wire, node: Wire, pods: Sequence[Wire]) -> str:
    if not is_condition_true(node, "Ready"):
        return "node(s) were not ready"
    if spec_of(node).get("unschedulable"):
        return "node(s) were unschedulable"
    selector = spec_of(pod).get("nodeSelector") or {}
    if not selector.items() <= labels_of(node).items():
        return "node(s) didn't match Pod's node affinity/selector"
    allocatable = status_of(node).get("allocatable") or {}
    if len(pods) >= int(allocatable.get("pods") or 110):
        return "Too many pods"
    for name in ("cpu", "memory"):
        if name in allocatable:
            used = sum((_request(other, name) for other in pods), Decimal(0))
            if used + _request(pod, name) > parse_quantity(str(allocatable[name])):
                return f"Insufficient {name}"
    return ""


def _request(pod: Wire, name: str) -> Decimal:
    total = Decimal(0)
    for container in spec_of(pod).get("containers") or ():
        requests = (container.get("resources") or {}).get("requests") or {}
        if name in requests:
            total += parse_quantity(str(requests[name]))
    return total
