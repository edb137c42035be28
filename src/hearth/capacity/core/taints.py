"""Whether a pod tolerates a node's taints: pure.

Source: kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration.
"""

from __future__ import annotations

from collections.abc import Sequence

from hearth.api.meta import Wire, spec_of

_REPELS = frozenset({"NoSchedule", "NoExecute"})


def untolerated(pod: Wire, node: Wire) -> str:
    """The first taint that keeps the pod away, as kube-scheduler writes it; empty if none does."""
    tolerations = spec_of(pod).get("tolerations") or ()
    for taint in spec_of(node).get("taints") or ():
        if taint.get("effect") in _REPELS and not _is_tolerated(taint, tolerations):
            value = f": {taint['value']}" if taint.get("value") else ": "
            return f"{{{taint.get('key')}{value}}}"
    return ""


def reluctance(pod: Wire, node: Wire) -> int:
    """How many taints would rather have the pod elsewhere (``PreferNoSchedule``)."""
    tolerations = spec_of(pod).get("tolerations") or ()
    return sum(
        taint.get("effect") == "PreferNoSchedule" and not _is_tolerated(taint, tolerations)
        for taint in spec_of(node).get("taints") or ()
    )


def _is_tolerated(taint: Wire, tolerations: Sequence[Wire]) -> bool:
    return any(_tolerates(toleration, taint) for toleration in tolerations)


def _tolerates(toleration: Wire, taint: Wire) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    key = toleration.get("key") or ""
    if key and key != taint.get("key"):
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(key) and (toleration.get("value") or "") == (taint.get("value") or "")
