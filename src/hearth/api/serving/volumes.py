"""What volumes and their mounts may say, in Knative's words.

Source: knative.dev/serving pkg/apis/serving/k8s_validation.go and fieldmask.go.
"""

from __future__ import annotations

import re
from posixpath import isabs, normpath
from typing import Any

from hearth.api.config.features import FeaturesConfig
from hearth.api.errors import FieldError
from hearth.api.meta import Wire
from hearth.api.serving.faults import (
    Faults,
    disallowed,
    members,
    missing,
    not_allowed,
    one_of,
    wrong,
)

_RESERVED_PATHS = frozenset({"/", "/dev", "/dev/log"})
_LABEL_MAX = 63
_DNS_1123 = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
#: Kinds of volumes that a flag decides on: the flag, and what Knative calls them.
_BY_FLAG = {
    "emptyDir": ("podspec-volumes-emptydir", "EmptyDir"),
    "hostPath": ("podspec-volumes-hostpath", "HostPath"),
    "csi": ("podspec-volumes-csi", "CSI"),
    "image": ("podspec-volumes-image", "Image"),
}
_CLAIM, _WRITE = "podspec-persistent-volume-claim", "podspec-persistent-volume-write"
#: Kinds of volumes that are always allowed; the last two are ours.
_FREE = ("secret", "configMap", "projected", "ephemeral", "downwardAPI")
_KINDS = (*_FREE, *_BY_FLAG, "persistentVolumeClaim")
_PROJECTIONS = ("secret", "configMap", "serviceAccountToken", "downwardAPI")
_WRITABLE = ("emptyDir", "persistentVolumeClaim", "ephemeral")
_MOUNT_FIELDS = frozenset({
    "name", "readOnly", "mountPath", "subPath", "subPathExpr", "mountPropagation",
})  # fmt: skip
_PULLED = ("IfNotPresent", "Always", "Never", "", None)


def volume_faults(
    volumes: list[Wire], mounted: set[Any], path: str, features: FeaturesConfig
) -> Faults:
    """A pod's volumes; ``mounted`` are the names that containers mount."""
    names = set()
    for number, volume in enumerate(volumes):
        at, name = f"{path}[{number}]", volume.get("name") or ""
        if name in names:
            yield FieldError(f"{at}.name", f'duplicate volume name "{name}": {at}.name')
        names.add(name)
        if not name:
            yield missing(f"{at}.name")
        elif len(name) > _LABEL_MAX or not _DNS_1123.match(name):
            yield wrong(f"{at}.name", name)
        elif name not in mounted:
            yield FieldError(f"{at}.name", f'volume with name "{name}" not mounted: {at}.name')
        yield from one_of(volume, _KINDS, at)
        yield from _flags(volume, at, features)
        yield from _source(volume, at)


def _flags(volume: Wire, path: str, features: FeaturesConfig) -> Faults:
    name = volume.get("name")
    for kind, (flag, called) in _BY_FLAG.items():
        if volume.get(kind) is None or features.is_enabled(flag):
            continue
        said = f"{called} volume support is disabled, but found {called} volume {name}"
        yield FieldError(path, f"{said}: {path}")
        if features.is_disabled(flag):
            yield disallowed(f"{path}.{kind}")
    claim = volume.get("persistentVolumeClaim")
    if not isinstance(claim, dict):
        return
    of = f"found persistent volume claim {claim.get('claimName')}"
    if not features.is_enabled(_CLAIM):
        said = f"Persistent volume claim support is disabled, but {of}"
        yield FieldError(path, f"{said}: {path}")
        if features.is_disabled(_CLAIM):
            yield disallowed(f"{path}.persistentVolumeClaim")
    if not claim.get("readOnly") and not features.is_enabled(_WRITE):
        said = f"Persistent volume write support is disabled, but {of} that is not read-only"
        yield FieldError(path, f"{said}: {path}")


def _source(volume: Wire, path: str) -> Faults:
    for kind in ("secret", "configMap"):
        yield from _items(volume.get(kind), f"{path}.{kind}")
    if isinstance(projected := volume.get("projected"), dict):
        for number, part in enumerate(members(projected, "sources")):
            yield from _projection(part, f"{path}.projected[{number}]")
    if isinstance(empty := volume.get("emptyDir"), dict):
        medium = empty.get("medium")
        if medium not in (None, "", "Memory"):
            yield wrong(f"{path}.emptyDir.medium", medium)
        if str(empty.get("sizeLimit") or "").startswith("-"):
            yield wrong(f"{path}.emptyDir.sizeLimit", empty["sizeLimit"])
    if isinstance(image := volume.get("image"), dict):
        if not image.get("reference"):
            yield missing(f"{path}.image.reference")
        if image.get("pullPolicy") not in _PULLED:
            yield wrong(f"{path}.image.pullPolicy", image.get("pullPolicy"))


def _projection(part: Wire, path: str) -> Faults:
    yield from one_of(part, _PROJECTIONS, path)
    for kind in ("secret", "configMap"):
        if isinstance(source := part.get(kind), dict) and not source.get("name"):
            yield missing(f"{path}.{kind}.name")
        yield from _items(part.get(kind), f"{path}.{kind}")
    token = part.get("serviceAccountToken")
    if isinstance(token, dict) and not token.get("path"):
        yield missing(f"{path}.serviceAccountToken.path")


def _items(source: Any, path: str) -> Faults:
    if isinstance(source, dict):
        for number, item in enumerate(members(source, "items")):
            for field in ("key", "path"):
                if not item.get(field):
                    yield missing(f"{path}.items[{number}].{field}")


def mount_faults(
    mounts: list[Wire], volumes: dict[str, Wire], path: str, features: FeaturesConfig
) -> Faults:
    """A container's mounts of the pod's volumes, which are given by name."""
    seen: set[str] = set()
    for number, mount in enumerate(mounts):
        at, where = f"{path}[{number}]", str(mount.get("mountPath") or "")
        clean = normpath(where)
        volume = volumes.get(str(mount.get("name")))
        yield from not_allowed(mount, _MOUNT_FIELDS, at)
        if volume is None:
            yield FieldError(f"{at}.name", f"volumeMount has no matching volume: {at}.name")
        if not where:
            yield missing(f"{at}.mountPath")
        elif clean in _RESERVED_PATHS:
            said = f'mountPath "{clean}" is a reserved path: {at}.mountPath'
            yield FieldError(f"{at}.mountPath", said)
        elif not isabs(where):
            yield wrong(f"{at}.mountPath", where)
        elif clean in seen:
            yield wrong(f"{at}.mountPath", f'"{where}" must be unique')
        seen.add(clean)
        yield from _writing(mount, volume or {}, at)
        yield from _propagation(mount, at, features)


def _writing(mount: Wire, volume: Wire, path: str) -> Faults:
    if mount.get("readOnly"):
        return
    if not any(kind in volume for kind in _WRITABLE):
        said = f"volume mount should be readOnly for this type of volume: {path}.readOnly"
        yield FieldError(f"{path}.readOnly", said)
    if (volume.get("persistentVolumeClaim") or {}).get("readOnly"):
        said = f"volume is readOnly but volume mount is not: {path}.readOnly"
        yield FieldError(f"{path}.readOnly", said)


def _propagation(mount: Wire, path: str, features: FeaturesConfig) -> Faults:
    flag, wanted = "podspec-volumes-mount-propagation", mount.get("mountPropagation")
    if not wanted:
        return
    if not features.is_enabled(flag):
        said = "Volume Mount Propagation support is disabled, but found volume mount"
        yield FieldError(path, f"{said} {mount.get('name')} with mount propagation: {path}")
        if features.is_disabled(flag):
            yield disallowed(f"{path}.mountPropagation")
    if wanted not in ("None", "HostToContainer"):
        said = "mount propagation should be set to None or HostToContainer"
        yield FieldError(f"{path}.mountPropagation", f"{said}: {path}.mountPropagation")
