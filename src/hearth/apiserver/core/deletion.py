"""What a deletion does: the object goes at once, or says that it is going.

Source: k8s.io/apiserver registry/rest/delete.go and the garbage collector's finalizers.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from hearth.api.kinds import NAMESPACE, POD
from hearth.api.meta import Wire, is_deleting, metadata, spec_of
from hearth.api.registry import Resource
from hearth.kit.times import rfc3339

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"


def begin_deletion(resource: Resource, wire: Wire, options: Wire, now: datetime) -> Wire | None:
    """The object marked as going, or None when it is to be removed at once.

    A pod on a node gets its grace period, so that the node can end it; an object with finalizers
    waits for them; a namespace waits until it is empty.
    """
    finalizers = list(metadata(wire).get("finalizers") or ())
    policy = options.get("propagationPolicy")
    for asked, finalizer in (("Orphan", ORPHAN), ("Foreground", FOREGROUND)):
        if policy == asked and finalizer not in finalizers:
            finalizers.append(finalizer)
    grace_s = _grace_s(resource, wire, options)
    waits = bool(finalizers) or grace_s > 0
    if resource.kind == NAMESPACE:
        waits = waits or bool(spec_of(wire).get("finalizers"))
    if not waits:
        return None
    meta = {**metadata(wire)}
    if finalizers:
        meta["finalizers"] = finalizers
    if not is_deleting(wire) or grace_s < int(meta.get("deletionGracePeriodSeconds") or 0):
        meta["deletionTimestamp"] = rfc3339(now + timedelta(seconds=grace_s))
        meta["deletionGracePeriodSeconds"] = grace_s
    going = {**wire, "metadata": meta}
    if resource.kind == NAMESPACE:
        going["status"] = {**(wire.get("status") or {}), "phase": "Terminating"}
    return going


def _grace_s(resource: Resource, wire: Wire, options: Wire) -> int:
    if resource.kind != POD or not spec_of(wire).get("nodeName"):
        return 0
    if (wire.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    asked = options.get("gracePeriodSeconds")
    own = spec_of(wire).get("terminationGracePeriodSeconds", 30)
    return max(0, int(own if asked is None else asked))


def is_finished(resource: Resource, wire: Wire) -> bool:
    """Whether an object that is going has nothing left to wait for."""
    if not is_deleting(wire) or metadata(wire).get("finalizers"):
        return False
    if resource.kind == NAMESPACE:
        return not spec_of(wire).get("finalizers")
    return not metadata(wire).get("deletionGracePeriodSeconds")
