"""Where a PersistentVolumeClaim's data lies on this machine; made when a pod first needs it.

A claim of a class that is ours is bound when its first pod runs, to a directory of that pod's node
(``volumeBindingMode: WaitForFirstConsumer``). A volume that someone made by hand is used as it is,
if it names a directory (``hostPath`` or ``local``).
"""

from __future__ import annotations

from pathlib import Path

from hearth.api.errors import AlreadyExists, NotFound
from hearth.api.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS
from hearth.api.meta import Wire, name_of, namespace_of, spec_of, uid_of
from hearth.api.storage import PROVISIONED_BY_ANNOTATION, PROVISIONER, is_default_class
from hearth.client import Client
from hearth.node.core.payload import VolumeFault


class Claims:
    """Binds claims to directories of one node."""

    def __init__(self, client: Client, node: str, state: Path) -> None:
        """Keep the directories below ``state``; ``node`` is the name of the Node object."""
        self._client = client
        self._node = node
        self._root = state.resolve() / "claims"

    async def directory(self, namespace: str, name: str) -> Path:
        """The claim's directory.

        Raises:
            VolumeFault: it is missing, not bound, or bound to what is not a directory here.
        """
        try:
            claim = await self._client.get(PERSISTENT_VOLUME_CLAIM, namespace, name)
        except NotFound as error:
            raise VolumeFault(f'persistentvolumeclaim "{name}" not found') from error
        volume = await self._volume(claim)
        source = spec_of(volume).get("hostPath") or spec_of(volume).get("local") or {}
        if not source.get("path"):
            kinds = sorted(spec_of(volume).keys() & {"csi", "nfs", "iscsi", "fc", "rbd"})
            said = ", ".join(kinds) or "no path"
            raise VolumeFault(f"persistentvolume {name_of(volume)}: {said}: not a directory here")
        path, ours = Path(str(source["path"])), provisioner_of(volume) == PROVISIONER
        if not _has_directory(path, ours or source.get("type") == "DirectoryOrCreate"):
            raise VolumeFault(f"persistentvolume {name_of(volume)}: {path} is no directory")
        return path

    async def _volume(self, claim: Wire) -> Wire:
        name = spec_of(claim).get("volumeName")
        if not name:
            return await self._provision(claim)
        try:
            return await self._client.get(PERSISTENT_VOLUME, "", str(name))
        except NotFound as error:
            raise VolumeFault(f'persistentvolume "{name}" not found') from error

    async def _provision(self, claim: Wire) -> Wire:
        """Make a volume for the claim, if it is of a class of ours, and bind it."""
        name = f"pvc-{uid_of(claim)}"
        volume = make_volume(
            claim, name, await self._class(claim), self._node, self._root / uid_of(claim)
        )
        try:
            volume = await self._client.create(PERSISTENT_VOLUME, volume)
        except AlreadyExists:
            volume = await self._client.get(PERSISTENT_VOLUME, "", name)
        where = (PERSISTENT_VOLUME_CLAIM, namespace_of(claim), name_of(claim))
        spec = {"volumeName": name, "storageClassName": spec_of(volume)["storageClassName"]}
        await self._client.patch(*where, {"spec": spec})
        status = {
            "phase": "Bound",
            "accessModes": spec_of(volume)["accessModes"],
            "capacity": spec_of(volume)["capacity"],
        }
        await self._client.patch(*where, {"status": status}, subresource="status")
        return volume

    async def _class(self, claim: Wire) -> str:
        """The claim's class, if it is one of ours."""
        classes = (await self._client.list(STORAGE_CLASS)).items
        wanted = spec_of(claim).get("storageClassName")
        for one in classes:
            is_meant = name_of(one) == wanted if wanted is not None else is_default_class(one)
            if is_meant and one.get("provisioner") == PROVISIONER:
                return name_of(one)
        raise VolumeFault("pod has unbound immediate PersistentVolumeClaims")


def _has_directory(path: Path, make: bool) -> bool:
    if make and not path.is_dir():
        path.mkdir(parents=True, mode=0o711, exist_ok=True)
        path.chmod(0o777)
    return path.is_dir()


def provisioner_of(volume: Wire) -> str:
    """Who provisioned it."""
    annotations = volume["metadata"].get("annotations") or {}
    return str(annotations.get(PROVISIONED_BY_ANNOTATION) or "")


def make_volume(claim: Wire, name: str, class_name: str, node: str, path: Path) -> Wire:
    """The volume for a claim: a directory of one node."""
    spec = spec_of(claim)
    requests = (spec.get("resources") or {}).get("requests") or {}
    term = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "metadata": {"name": name, "annotations": {PROVISIONED_BY_ANNOTATION: PROVISIONER}},
        "spec": {
            "accessModes": spec.get("accessModes") or ["ReadWriteOnce"],
            "capacity": {"storage": requests.get("storage", "1Gi")},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": namespace_of(claim),
                "name": name_of(claim),
                "uid": uid_of(claim),
            },
            "hostPath": {"path": str(path), "type": "DirectoryOrCreate"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [term]}]}},
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": class_name,
            "volumeMode": "Filesystem",
        },
    }
