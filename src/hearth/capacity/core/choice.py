"""Chooses a node for a pod: pure.

What kube-scheduler requires is required here, and said in its words. Of the nodes that can take the
pod the one that its preferences like best does, then the one with the fewest pods.

Source: kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from hearth.api.meta import Wire, is_condition_true, labels_of, name_of, spec_of
from hearth.capacity.core.affinity import (
    Placed,
    Present,
    node_preference,
    pod_preference,
    refused_by_pods,
    suits_node,
)
from hearth.capacity.core.requests import insufficient
from hearth.capacity.core.spread import crowding, skewed
from hearth.capacity.core.taints import reluctance, untolerated

_Order: TypeAlias = tuple[int, int, int, int, str]


def choose_node(
    pod: Wire,
    nodes: Sequence[Wire],
    on_node: Mapping[str, Sequence[Wire]],
    namespaces: Mapping[str, Mapping[str, str]],
) -> tuple[str, str]:
    """The node that takes the pod.

    Args:
        pod: to be placed.
        nodes: all nodes.
        on_node: the pods that each node has.
        namespaces: their labels by name.

    Returns:
        The node's name and an empty string, or an empty name and why no node fits.
    """
    if not nodes:
        return "", "no nodes available to schedule pods"
    placed = [
        Placed(other, labels_of(node)) for node in nodes for other in on_node.get(name_of(node), ())
    ]
    present = Present(placed, namespaces)
    reasons: Counter[str] = Counter()
    fitting: list[tuple[_Order, str]] = []
    for node in nodes:
        pods = on_node.get(name_of(node), ())
        if why := _refusal(pod, node, pods) or _refusal_by_others(pod, node, nodes, present):
            reasons.update(why)
        else:
            fitting.append((_order(pod, node, len(pods), nodes, present), name_of(node)))
    if fitting:
        return min(fitting)[1], ""
    said = ", ".join(sorted(f"{count} {why}" for why, count in reasons.items()))
    return "", f"0/{len(nodes)} nodes are available: {said}."


def _refusal(pod: Wire, node: Wire, pods: Sequence[Wire]) -> list[str]:
    if not is_condition_true(node, "Ready"):
        return ["node(s) were not ready"]
    if spec_of(node).get("unschedulable"):
        return ["node(s) were unschedulable"]
    if taint := untolerated(pod, node):
        return [f"node(s) had untolerated taint {taint}"]
    if not suits_node(pod, node):
        return ["node(s) didn't match Pod's node affinity/selector"]
    return insufficient(pod, node, pods)


def _refusal_by_others(pod: Wire, node: Wire, nodes: Sequence[Wire], present: Present) -> list[str]:
    if skewed(pod, node, nodes, present.placed):
        return ["node(s) didn't match pod topology spread constraints"]
    why = refused_by_pods(pod, node, present)
    return [why] if why else []


def _order(pod: Wire, node: Wire, pods: int, nodes: Sequence[Wire], present: Present) -> _Order:
    """Sorts the best node first."""
    liked = node_preference(pod, node) + pod_preference(pod, node, present)
    crowded = crowding(pod, node, nodes, present.placed)
    return -liked, reluctance(pod, node), crowded, pods, name_of(node)
