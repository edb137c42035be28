"""What every object has: metadata, owner references, conditions.

A wire object is a plain ``dict`` as JSON gives it. These functions read it without raising on
absent fields, and the makers return new dicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

#: An object as it is on the wire; lossless, the only form that is stored or written back.
Wire: TypeAlias = dict[str, Any]

#: The tenant that exists from the start.
ROOT = "root"

#: Set by the API server on objects listed across tenants (``/clusters/*/``).
TENANT_ANNOTATION = "hearth.dev/tenant"


class ObjectKey(NamedTuple):
    """Who an object of a known kind is: the key of every cache and queue.

    ``namespace`` is empty for cluster-scoped kinds.
    """

    tenant: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """Short form for messages: ``namespace/name``, with the tenant if it is not the root."""
        path = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return path if self.tenant == ROOT else f"{self.tenant}:{path}"


def key_of(wire: Wire, tenant: str = ROOT) -> ObjectKey:
    """The object's key; its tenant is ``tenant`` unless the object is annotated with another."""
    meta = wire.get("metadata") or {}
    own = (meta.get("annotations") or {}).get(TENANT_ANNOTATION, tenant)
    return ObjectKey(own, meta.get("namespace") or "", meta.get("name") or "")


def metadata(wire: Wire) -> Wire:
    """``metadata``, or an empty dict."""
    return wire.get("metadata") or {}


def name_of(wire: Wire) -> str:
    """``metadata.name``."""
    return str(metadata(wire).get("name") or "")


def namespace_of(wire: Wire) -> str:
    """``metadata.namespace``, empty for cluster-scoped kinds."""
    return str(metadata(wire).get("namespace") or "")


def uid_of(wire: Wire) -> str:
    """``metadata.uid``."""
    return str(metadata(wire).get("uid") or "")


def labels_of(wire: Wire) -> Mapping[str, str]:
    """``metadata.labels``."""
    return metadata(wire).get("labels") or {}


def annotations_of(wire: Wire) -> Mapping[str, str]:
    """``metadata.annotations``."""
    return metadata(wire).get("annotations") or {}


def generation_of(wire: Wire) -> int:
    """``metadata.generation``: counts changes of the spec."""
    return int(metadata(wire).get("generation") or 0)


def resource_version_of(wire: Wire) -> str:
    """``metadata.resourceVersion``: opaque, but comparable as a decimal (KEP-5504)."""
    return str(metadata(wire).get("resourceVersion") or "")


def is_deleting(wire: Wire) -> bool:
    """Whether ``metadata.deletionTimestamp`` is set."""
    return bool(metadata(wire).get("deletionTimestamp"))


def spec_of(wire: Wire) -> Wire:
    """``spec``, or an empty dict."""
    return wire.get("spec") or {}


def status_of(wire: Wire) -> Wire:
    """``status``, or an empty dict."""
    return wire.get("status") or {}


def owner_reference(owner: Wire) -> Wire:
    """A controller reference to ``owner``, which must have been read from the API (has a UID)."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller_of(wire: Wire) -> Wire | None:
    """The owner reference with ``controller: true``, if there is one."""
    for reference in metadata(wire).get("ownerReferences") or ():
        if reference.get("controller"):
            return dict(reference)
    return None


def is_controlled_by(wire: Wire, owner: Wire) -> bool:
    """Whether ``owner`` (by UID) controls the object."""
    reference = controller_of(wire)
    return reference is not None and reference.get("uid") == uid_of(owner)


def condition_of(wire: Wire, kind: str) -> Wire | None:
    """The condition of that type in ``status.conditions``."""
    for condition in status_of(wire).get("conditions") or ():
        if condition.get("type") == kind:
            return dict(condition)
    return None


def is_condition_true(wire: Wire, kind: str) -> bool:
    """Whether the condition's status is ``True``."""
    condition = condition_of(wire, kind)
    return condition is not None and condition.get("status") == "True"


def merge_conditions(was: Iterable[Wire], now: Iterable[Wire], at: str) -> list[Wire]:
    """The conditions ``now``, sorted by type; ``lastTransitionTime`` is kept where status is.

    Args:
        was: the conditions in the stored object.
        now: the conditions computed, without ``lastTransitionTime``.
        at: RFC 3339 time for those whose status changed.
    """
    before = {c["type"]: c for c in was}
    merged = []
    for condition in now:
        old = before.get(condition["type"])
        same = old is not None and old.get("status") == condition.get("status")
        since = old.get("lastTransitionTime", at) if same and old is not None else at
        merged.append({**condition, "lastTransitionTime": since})
    return sorted(merged, key=lambda c: str(c["type"]))
