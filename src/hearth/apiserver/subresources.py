"""Subresources that are more than a part of the object: scale, binding, adopt."""

from __future__ import annotations

from typing import Any

from hearth.api.errors import BadRequest, Conflict, NotFound
from hearth.api.kinds import POD, POD_POOL
from hearth.api.managed_fields import note_update
from hearth.api.meta import (
    Wire,
    annotations_of,
    controller_of,
    is_deleting,
    labels_of,
    metadata,
    spec_of,
    status_of,
)
from hearth.apiserver.core.lifecycle import Writer
from hearth.apiserver.core.paths import Target
from hearth.apiserver.objects import Objects, Outcome

_GRACE = "terminationGracePeriodSeconds"


def scale_of(wire: Wire) -> Wire:
    """The ``autoscaling/v1`` Scale of an object."""
    spec, status = spec_of(wire), status_of(wire)
    selector = (spec.get("selector") or {}).get("matchLabels") or {}
    meta = {
        name: metadata(wire)[name]
        for name in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        if name in metadata(wire)
    }
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": meta,
        "spec": {"replicas": spec.get("replicas", 0)},
        "status": {
            "replicas": status.get("replicas", 0),
            "selector": ",".join(f"{k}={v}" for k, v in sorted(selector.items())),
        },
    }


def with_scale(wire: Wire, scale: Any) -> Wire:
    """The object with the replicas that a Scale asks for, at the version that it names if any.

    Raises:
        BadRequest: it has no number of replicas.
    """
    replicas = (scale.get("spec") or {}).get("replicas") if isinstance(scale, dict) else None
    if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0:
        raise BadRequest(f"Scale: spec.replicas is {replicas!r}, expected an integer >= 0")
    wanted = {**wire, "spec": {**spec_of(wire), "replicas": replicas}}
    version = (scale.get("metadata") or {}).get("resourceVersion")
    meta = {k: v for k, v in metadata(wire).items() if k != "resourceVersion"}
    return {**wanted, "metadata": {**meta, **({"resourceVersion": version} if version else {})}}


async def bind(objects: Objects, target: Target, binding: Any, by: Writer) -> None:
    """Put a pod on the node that a Binding names.

    Raises:
        Conflict: it is on one already.
    """
    about = binding.get("target") if isinstance(binding, dict) else None
    node = about.get("name") if isinstance(about, dict) else None
    if not isinstance(node, str) or not node:
        raise BadRequest(f"pods/binding of {target.key}: target.name is empty, expected a node")

    def change(pod: Wire) -> Wire:
        if spec_of(pod).get("nodeName"):
            raise Conflict(f"pod {target.key}: is already on node {spec_of(pod)['nodeName']}")
        conditions = [
            c for c in status_of(pod).get("conditions") or () if c["type"] != "PodScheduled"
        ]
        scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": by.at}
        status = {**status_of(pod), "conditions": [*conditions, scheduled]}
        if is_deleting(pod):
            raise Conflict(f"pod {target.key}: is being deleted, cannot be put on node {node}")
        return {**pod, "spec": {**spec_of(pod), "nodeName": node}, "status": status}

    await objects.change(target, change, by)


async def adopt(objects: Objects, target: Target, wanted: Any, by: Writer) -> Outcome:
    """Move a warm pod into the namespace of the revision that claimed it.

    The body's metadata gives the namespace, the labels and owners (which replace the pod's) and
    annotations (which are added); its spec may give ``terminationGracePeriodSeconds``, the one
    field of a running pod's spec that is the app's to say. Name and UID stay.

    Raises:
        Conflict: the pod is going, or has been adopted already.
    """
    meta = metadata(wanted if isinstance(wanted, dict) else {})
    namespace = meta.get("namespace")
    if not namespace or target.resource.kind != POD:
        raise BadRequest(f"pods/adopt of {target.key}: metadata.namespace is empty")
    grace = _grace(target, spec_of(wanted))

    def moved(pod: Wire) -> Wire:
        _check_warm(target, pod)
        changed = {
            **metadata(pod),
            "namespace": namespace,
            "labels": dict(labels_of(wanted)),
            "annotations": {**annotations_of(pod), **annotations_of(wanted)},
            "ownerReferences": meta.get("ownerReferences") or [],
        }
        adopted = {**pod, "metadata": changed, "spec": {**spec_of(pod), **grace}}
        return note_update(pod, adopted, by.manager, by.at)

    try:
        return await objects.move(target, moved)
    except NotFound as error:
        if error.details and error.details.get("kind") == POD.plural:
            said = f"pod {target.key}: is gone or has been adopted already"
            raise Conflict(said) from error
        raise


def _grace(target: Target, spec: Wire) -> Wire:
    seconds = spec.get(_GRACE)
    if seconds is None:
        return {}
    if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 0:
        raise BadRequest(
            f"pods/adopt of {target.key}: spec.{_GRACE} is {seconds!r}, expected whole seconds"
        )
    return {_GRACE: seconds}


def _check_warm(target: Target, pod: Wire) -> None:
    owner = controller_of(pod) or {}
    if is_deleting(pod) or owner.get("kind") != POD_POOL.kind:
        state = "is going" if is_deleting(pod) else f"belongs to {owner.get('kind') or 'nobody'}"
        raise Conflict(f"pod {target.key}: {state}, expected a warm pod of a PodPool")
