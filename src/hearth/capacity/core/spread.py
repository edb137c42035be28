"""How evenly a pod's like are spread over parts of a topology: pure.

Source: kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hearth.api.meta import Wire, labels_of, namespace_of, spec_of
from hearth.api.selectors import Requirement, Selector, selector_of
from hearth.capacity.core.affinity import Placed, suits_node


def skewed(pod: Wire, node: Wire, nodes: Sequence[Wire], placed: Sequence[Placed]) -> bool:
    """Whether the pod on this node would break a constraint that says ``DoNotSchedule``."""
    for constraint in _constraints(pod, "DoNotSchedule"):
        counts = _counts(constraint, pod, nodes, placed)
        part = labels_of(node).get(str(constraint.get("topologyKey")))
        if part is None:
            return True
        least = min(counts.values(), default=0)
        if len(counts) < int(constraint.get("minDomains") or 1):
            least = 0
        own = int(_selector(constraint, pod).matches(labels_of(pod)))
        if counts[part] + own - least > int(constraint.get("maxSkew") or 1):
            return True
    return False


def crowding(pod: Wire, node: Wire, nodes: Sequence[Wire], placed: Sequence[Placed]) -> int:
    """How many of its like are in this node's parts, by those that say ``ScheduleAnyway``."""
    return sum(
        _counts(constraint, pod, nodes, placed)[
            labels_of(node).get(str(constraint.get("topologyKey")), "")
        ]
        for constraint in _constraints(pod, "ScheduleAnyway")
    )


def _constraints(pod: Wire, when: str) -> list[Wire]:
    constraints = spec_of(pod).get("topologySpreadConstraints") or ()
    return [one for one in constraints if one.get("whenUnsatisfiable", "DoNotSchedule") == when]


def _counts(
    constraint: Wire, pod: Wire, nodes: Sequence[Wire], placed: Sequence[Placed]
) -> Counter[str]:
    """Pods like this one in each part that the pod may be in."""
    topology, selector = str(constraint.get("topologyKey")), _selector(constraint, pod)
    counts: Counter[str] = Counter()
    for node in nodes:
        if topology in labels_of(node) and suits_node(pod, node):
            counts.setdefault(labels_of(node)[topology], 0)
    for other in placed:
        alike = namespace_of(other.pod) == namespace_of(pod) and selector.matches(
            labels_of(other.pod)
        )
        part = other.labels.get(topology, "")
        if alike and part in counts:
            counts[part] += 1
    return counts


def _selector(constraint: Wire, pod: Wire) -> Selector:
    given = constraint.get("labelSelector")
    if given is None:
        return Selector((Requirement("", "exists"),))  # selects nothing
    same = [
        Requirement(key, "in", frozenset([labels_of(pod)[key]]))
        for key in constraint.get("matchLabelKeys") or ()
        if key in labels_of(pod)
    ]
    return Selector((*selector_of(given).requirements, *same))
