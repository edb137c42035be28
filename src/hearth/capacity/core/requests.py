"""What a pod asks of its node, and whether that is left: pure.

Source: k8s.io/kubernetes pkg/scheduler/framework/plugins/noderesources (fit.go).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TypeAlias

from hearth.api.meta import Wire, spec_of, status_of
from hearth.api.quantities import parse_quantity

PODS_DEFAULT = 110  #: kubelet's max-pods
#: What a node that does not tell of it has enough of.
_UNTOLD = frozenset({"cpu", "memory", "ephemeral-storage"})

Amounts: TypeAlias = dict[str, Decimal]


def insufficient(pod: Wire, node: Wire, pods: Sequence[Wire]) -> list[str]:
    """What the node has too little of, in kube-scheduler's words.

    Args:
        pod: to be placed.
        node: that may take it.
        pods: that it has.
    """
    allocatable = status_of(node).get("allocatable") or {}
    if len(pods) >= int(allocatable.get("pods") or PODS_DEFAULT):
        return ["Too many pods"]
    asked = requests_of(pod)
    used = _sum(requests_of(other) for other in pods)
    found = []
    for name in sorted(asked):
        if name not in allocatable and (name in _UNTOLD or not asked[name]):
            continue
        room = parse_quantity(str(allocatable.get(name, "0"))) - used.get(name, Decimal(0))
        if asked[name] > room:
            found.append(f"Insufficient {name}")
    return found


def requests_of(pod: Wire) -> Amounts:
    """The sum over the containers, or the most of an init container where that is more.

    Limits count where there are no requests; sidecars count with the containers.
    """
    spec = spec_of(pod)
    inits = spec.get("initContainers") or ()
    sidecars = [one for one in inits if one.get("restartPolicy") == "Always"]
    running = _sum(_of(one) for one in (*(spec.get("containers") or ()), *sidecars))
    for one in inits:
        if one.get("restartPolicy") != "Always":
            for name, amount in _of(one).items():
                running[name] = max(running.get(name, Decimal(0)), amount)
    return _sum((running, _parsed(spec.get("overhead") or {})))


def _of(container: Wire) -> Amounts:
    resources = container.get("resources") or {}
    return _parsed({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def _parsed(texts: Wire) -> Amounts:
    return {name: parse_quantity(str(text)) for name, text in texts.items()}


def _sum(amounts: Iterable[Amounts]) -> Amounts:
    total: Counter[str] = Counter()
    for each in amounts:
        for name, amount in each.items():
            total[name] += amount  # type: ignore[assignment]  # a Counter of Decimals
    return dict(total)  # type: ignore[arg-type]
