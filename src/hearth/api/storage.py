"""Volumes that outlive pods: PersistentVolumes, claims to them, and classes of them.

Source: k8s.io/api/core/v1, k8s.io/api/storage/v1; defaults as Kubernetes' admission fills them in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hearth.api.core import Object
from hearth.api.errors import FieldError
from hearth.api.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS
from hearth.api.meta import Wire, spec_of, status_of
from hearth.api.podspec import FreeForm
from hearth.api.registry import Column, Resource, at, plain_fields

PROVISIONER = "hearth.dev/local"  #: makes a directory of the node where the first pod runs
LOCAL_CLASS = "local"  #: the class that is there from the start
PROVISIONED_BY_ANNOTATION = "pv.kubernetes.io/provisioned-by"
DEFAULT_CLASS_ANNOTATION = "storageclass.kubernetes.io/is-default-class"
_MODES = {
    "ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}  # fmt: skip


class PersistentVolume(Object, frozen=True):
    """A piece of storage."""

    spec: FreeForm | None = None
    status: FreeForm | None = None


class PersistentVolumeClaim(Object, frozen=True):
    """A wish for storage, and what fulfils it."""

    spec: FreeForm | None = None
    status: FreeForm | None = None


class StorageClass(Object, frozen=True):
    """Who makes storage, and how."""

    provisioner: str | None = None
    parameters: dict[str, str] | None = None
    reclaim_policy: str | None = None
    mount_options: list[str] | None = None
    allow_volume_expansion: bool | None = None
    volume_binding_mode: str | None = None
    allowed_topologies: list[FreeForm] | None = None


def local_class() -> Wire:
    """The class that is there from the start, and the default."""
    return {
        "metadata": {"name": LOCAL_CLASS, "annotations": {DEFAULT_CLASS_ANNOTATION: "true"}},
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def is_default_class(wire: Wire) -> bool:
    """Whether claims that name no class are of this one."""
    annotations = (wire.get("metadata") or {}).get("annotations") or {}
    return annotations.get(DEFAULT_CLASS_ANNOTATION) == "true"


def _default_volume(wire: Wire, old: Wire | None = None) -> Wire:
    spec = {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem", **spec_of(wire)}
    phase = "Bound" if spec.get("claimRef") else "Available"
    return {**wire, "spec": spec, "status": {"phase": phase, **status_of(wire)}}


def _default_claim(wire: Wire, old: Wire | None = None) -> Wire:
    spec = {"volumeMode": "Filesystem", **spec_of(wire)}
    return {**wire, "spec": spec, "status": {"phase": "Pending", **status_of(wire)}}


def _default_class(wire: Wire, old: Wire | None = None) -> Wire:
    filled = {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}
    return {**filled, **wire}


def _required(wire: Wire, old: Wire | None) -> list[FieldError]:
    spec = spec_of(wire)
    errors = []
    if not spec.get("accessModes"):
        said = "Required value: at least 1 access mode is required"
        errors.append(FieldError("spec.accessModes", said, "FieldValueRequired"))
    for mode in spec.get("accessModes") or ():
        if mode not in _MODES:
            known = ", ".join(f'"{name}"' for name in sorted(_MODES))
            said = f'Unsupported value: "{mode}": supported values: {known}'
            errors.append(FieldError("spec.accessModes", said, "FieldValueNotSupported"))
    return errors


def _claim(wire: Wire, old: Wire | None) -> list[FieldError]:
    errors = _required(wire, old)
    requests = (spec_of(wire).get("resources") or {}).get("requests") or {}
    if not requests.get("storage"):
        said = "Required value"
        errors.append(FieldError("spec.resources[storage]", said, "FieldValueRequired"))
    bound = spec_of(old or {}).get("volumeName")
    if bound and spec_of(wire).get("volumeName") != bound:
        said = "Forbidden: spec is immutable after creation except resources.requests"
        errors.append(FieldError("spec", said, "FieldValueForbidden"))
    return errors


def _volume(wire: Wire, old: Wire | None) -> list[FieldError]:
    errors = _required(wire, old)
    if not (spec_of(wire).get("capacity") or {}).get("storage"):
        errors.append(FieldError("spec.capacity", "Required value", "FieldValueRequired"))
    return errors


def _class(wire: Wire, old: Wire | None) -> list[FieldError]:
    if wire.get("provisioner"):
        return []
    return [FieldError("provisioner", "Required value", "FieldValueRequired")]


def _modes(wire: Wire) -> str:
    return ",".join(_MODES.get(str(m), str(m)) for m in spec_of(wire).get("accessModes") or ())


def _claimed_by(wire: Wire) -> Any:
    claim = spec_of(wire).get("claimRef")
    return f"{claim.get('namespace')}/{claim.get('name')}" if claim else ""


def _phase_fields(wire: Wire) -> Mapping[str, str]:
    return {**plain_fields(wire), "status.phase": str(status_of(wire).get("phase") or "")}


RESOURCES = (
    Resource(
        PERSISTENT_VOLUME, PersistentVolume, "persistentvolume", ("pv",), (),
        frozenset({"status"}),
        (
            Column("Capacity", at("spec", "capacity", "storage")),
            Column("Access Modes", _modes),
            Column("Reclaim Policy", at("spec", "persistentVolumeReclaimPolicy")),
            Column("Status", at("status", "phase")),
            Column("Claim", _claimed_by),
            Column("StorageClass", at("spec", "storageClassName")),
            Column("Reason", at("status", "reason")),
        ),
        _default_volume, _volume, _phase_fields,
    ),
    Resource(
        PERSISTENT_VOLUME_CLAIM, PersistentVolumeClaim, "persistentvolumeclaim", ("pvc",), (),
        frozenset({"status"}),
        (
            Column("Status", at("status", "phase")),
            Column("Volume", at("spec", "volumeName")),
            Column("Capacity", at("status", "capacity", "storage")),
            Column("Access Modes", _modes),
            Column("StorageClass", at("spec", "storageClassName")),
        ),
        _default_claim, _claim, _phase_fields,
    ),
    Resource(
        STORAGE_CLASS, StorageClass, "storageclass", ("sc",), (), frozenset(),
        (
            Column("Provisioner", at("provisioner")),
            Column("ReclaimPolicy", at("reclaimPolicy")),
            Column("VolumeBindingMode", at("volumeBindingMode")),
            Column("AllowVolumeExpansion", lambda w: bool(w.get("allowVolumeExpansion")),
                   "boolean"),
        ),
        _default_class, _class,
    ),
)  # fmt: skip
