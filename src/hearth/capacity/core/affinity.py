"""Where a pod wants to be, by nodes and by the pods that are there already: pure.

Source: kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node; k8s.io/kubernetes
pkg/scheduler/framework/plugins/{nodeaffinity,interpodaffinity}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from hearth.api.meta import Wire, labels_of, name_of, namespace_of, spec_of
from hearth.api.selectors import Requirement, selector_of

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_OPERATORS = {
    "In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "missing", "Gt": ">",
    "Lt": "<",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Placed:
    """A pod and the labels of the node that it is on."""

    pod: Wire
    labels: Mapping[str, str]

    def shares(self, node: Wire, topology: str) -> bool:
        """Whether the node is in the same part of this topology."""
        value = self.labels.get(topology)
        return value is not None and labels_of(node).get(topology) == value


@dataclass(frozen=True, slots=True)
class Present:
    """What is there already."""

    placed: Sequence[Placed]
    namespaces: Mapping[str, Mapping[str, str]]  #: labels by name


# Nodes


def suits_node(pod: Wire, node: Wire) -> bool:
    """Whether the node meets the pod's ``nodeSelector`` and its required node affinity."""
    selector = spec_of(pod).get("nodeSelector") or {}
    if not selector.items() <= labels_of(node).items():
        return False
    required = _affinity(pod, "nodeAffinity").get(_REQUIRED)
    if required is None:
        return True
    return any(_meets(term, node) for term in required.get("nodeSelectorTerms") or ())


def node_preference(pod: Wire, node: Wire) -> int:
    """The weights of the preferred node affinities that the node meets."""
    return sum(
        int(each.get("weight") or 0)
        for each in _affinity(pod, "nodeAffinity").get(_PREFERRED) or ()
        if _meets(each.get("preference") or {}, node)
    )


def _meets(term: Wire, node: Wire) -> bool:
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False  # an empty term selects nothing
    return _selects(expressions, labels_of(node)) and _selects(
        fields, {"metadata.name": name_of(node)}
    )


def _selects(expressions: Iterable[Wire], labels: Mapping[str, str]) -> bool:
    return all(
        Requirement(
            one["key"], _OPERATORS[one["operator"]], frozenset(map(str, one.get("values") or ()))
        ).matches(labels)
        for one in expressions
    )


# Pods


def refused_by_pods(pod: Wire, node: Wire, present: Present) -> str:
    """Why pods that are there keep it from the node, in kube-scheduler's words, or empty."""
    for term in _affinity(pod, "podAffinity").get(_REQUIRED) or ():
        if not _is_attracted(term, pod, node, present):
            return "node(s) didn't match pod affinity rules"
    for term in _affinity(pod, "podAntiAffinity").get(_REQUIRED) or ():
        if _neighbours(term, pod, node, present):
            return "node(s) didn't match pod anti-affinity rules"
    for other in present.placed:
        for term in _affinity(other.pod, "podAntiAffinity").get(_REQUIRED) or ():
            if _chosen(term, other.pod, present)(pod) and other.shares(
                node, term.get("topologyKey", "")
            ):
                return "node(s) didn't satisfy existing pods anti-affinity rules"
    return ""


def pod_preference(pod: Wire, node: Wire, present: Present) -> int:
    """The weights of the preferred affinities to pods near the node, less the anti-affinities'."""
    score = 0
    for kind, sign in (("podAffinity", 1), ("podAntiAffinity", -1)):
        for each in _affinity(pod, kind).get(_PREFERRED) or ():
            near = _neighbours(each.get("podAffinityTerm") or {}, pod, node, present)
            score += sign * int(each.get("weight") or 0) * len(near)
    return score


def _is_attracted(term: Wire, pod: Wire, node: Wire, present: Present) -> bool:
    """Whether such a pod is near the node; the first of a group need not find another."""
    topology, chosen = str(term.get("topologyKey") or ""), _chosen(term, pod, present)
    if topology not in labels_of(node):
        return False
    if _neighbours(term, pod, node, present):
        return True
    alone = not any(chosen(other.pod) and topology in other.labels for other in present.placed)
    return alone and chosen(pod)


def _neighbours(term: Wire, pod: Wire, node: Wire, present: Present) -> list[Placed]:
    topology, chosen = str(term.get("topologyKey") or ""), _chosen(term, pod, present)
    return [other for other in present.placed if other.shares(node, topology) and chosen(other.pod)]


def _chosen(term: Wire, owner: Wire, present: Present) -> Callable[[Wire], bool]:
    """Which pods a term of ``owner``'s is about."""
    selector = selector_of(term["labelSelector"]) if term.get("labelSelector") is not None else None
    names = set(term.get("namespaces") or ())
    if (asked := term.get("namespaceSelector")) is not None:
        chosen = selector_of(asked)
        names |= {name for name, labels in present.namespaces.items() if chosen.matches(labels)}
    elif not names:
        names = {namespace_of(owner)}

    def is_chosen(pod: Wire) -> bool:
        if selector is None or namespace_of(pod) not in names:
            return False
        return selector.matches(labels_of(pod))

    return is_chosen


def _affinity(pod: Wire, kind: str) -> Wire:
    found: Wire = (spec_of(pod).get("affinity") or {}).get(kind) or {}
    return found
