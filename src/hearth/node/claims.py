"""Where a PersistentVolumeClaim's data lies on this machine; made when a pod first needs it.

A claim of a class that is ours is bound when its first pod runs, to a directory of that pod's node
(``volumeBindingMode: WaitForFirstConsumer``). A volume that someone made by hand is used as it is,
if it names a directory (``hostPath`` or ``local``).
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import TypeAlias

from hearth.api.errors import AlreadyExists, ApiError, NotFound
from hearth.api.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS
from hearth.api.meta import Wire, name_of, namespace_of, spec_of, status_of, uid_of
from hearth.api.quantities import parse_quantity
from hearth.api.selectors import selector_of
from hearth.api.storage import LOCAL_CLASS, PROVISIONED_BY_ANNOTATION, PROVISIONER, is_default_class
from hearth.client import Client
from hearth.node.core.payload import VolumeFault
from hearth.runtime import Informers

log = logging.getLogger(__name__)

_KEEP_S = 0.2  #: between looks at claims and volumes that change
ClaimKey: TypeAlias = tuple[str, str]  #: namespace and name


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
        await bind_claim(self._client, claim, volume)
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


class ClaimKeeper:
    """Binds claims to volumes made by hand, and removes what deleted claims leave on this node."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        state: Path,
        in_use: Callable[[], set[ClaimKey]],
        remove: Callable[[Path], Awaitable[None]] | None = None,
    ) -> None:
        """Keep what is below ``state``; ``in_use`` are the claims of pods that run."""
        self._remove_tree = remove or _remove_tree
        self._client = client
        self._claims = informers.of(PERSISTENT_VOLUME_CLAIM, label_selector="")
        self._volumes = informers.of(PERSISTENT_VOLUME, label_selector="")
        self._root = state.resolve() / "claims"
        self._in_use = in_use
        self._changed = asyncio.Event()
        for informer in (self._claims, self._volumes):
            informer.on_change(lambda change: self._changed.set())

    async def run(self) -> None:
        """Look whenever a claim or a volume changes, until cancelled."""
        await self._claims.wait_synced()
        await self._volumes.wait_synced()
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._look()
            except (ApiError, ConnectionError) as error:
                log.warning("claims not kept", extra={"f": {"because": str(error)}})
                self._changed.set()
            await asyncio.sleep(_KEEP_S)

    async def _look(self) -> None:
        claims = {(namespace_of(one), name_of(one)): one for one in self._claims.list()}
        for volume in self._volumes.list():
            ref = spec_of(volume).get("claimRef") or {}
            key = (str(ref.get("namespace")), str(ref.get("name")))
            claim = claims.get(key)
            if not ref or (claim is not None and ref.get("uid") in (None, uid_of(claim))):
                continue
            if provisioner_of(volume) != PROVISIONER:
                await self._say(volume, "Released")
            elif key in self._in_use():
                self._changed.set()  # once its pods have ended
            else:
                await self._remove(volume)
        for claim in claims.values():
            if not spec_of(claim).get("volumeName") or status_of(claim).get("phase") != "Bound":
                await self._bind(claim)

    async def _remove(self, volume: Wire) -> None:
        path = Path(str((spec_of(volume).get("hostPath") or {}).get("path") or ""))
        if not path.is_relative_to(self._root):
            return  # another node's
        await self._remove_tree(path)
        await self._client.delete(PERSISTENT_VOLUME, "", name_of(volume))

    async def _say(self, volume: Wire, phase: str) -> None:
        if status_of(volume).get("phase") != phase:
            patch = {"status": {"phase": phase}}
            await self._client.patch(
                PERSISTENT_VOLUME, "", name_of(volume), patch, subresource="status"
            )

    async def _bind(self, claim: Wire) -> None:
        """Bind the claim to a volume that is there, if one fits."""
        fitting = [v for v in self._volumes.list() if fits(v, claim)]
        if not fitting:
            return
        volume = min(fitting, key=lambda v: (size_of(v), name_of(v)))
        ref = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "uid": uid_of(claim),
               "namespace": namespace_of(claim), "name": name_of(claim)}  # fmt: skip
        await self._client.patch(
            PERSISTENT_VOLUME, "", name_of(volume), {"spec": {"claimRef": ref}}
        )
        await self._say(volume, "Bound")
        await bind_claim(self._client, claim, volume)


async def _remove_tree(path: Path) -> None:
    await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)


async def bind_claim(client: Client, claim: Wire, volume: Wire) -> None:
    """Say in the claim which volume is its own."""
    where = (PERSISTENT_VOLUME_CLAIM, namespace_of(claim), name_of(claim))
    spec: Wire = {"volumeName": name_of(volume)}
    if spec_of(claim).get("storageClassName") is None:
        spec["storageClassName"] = spec_of(volume).get("storageClassName") or ""
    await client.patch(*where, {"spec": spec})
    status = {
        "phase": "Bound",
        "accessModes": spec_of(volume).get("accessModes"),
        "capacity": spec_of(volume).get("capacity"),
    }
    await client.patch(*where, {"status": status}, subresource="status")


def size_of(volume: Wire) -> Decimal:
    """Its bytes."""
    return parse_quantity(str((spec_of(volume).get("capacity") or {}).get("storage") or "0"))


def fits(volume: Wire, claim: Wire) -> bool:
    """Whether the claim may be bound to the volume.

    Source:
        k8s.io/kubernetes pkg/controller/volume/persistentvolume (findMatchingVolume).
    """
    have, want = spec_of(volume), spec_of(claim)
    ref = have.get("claimRef")
    if ref:
        own = (ref.get("namespace"), ref.get("name")) == (namespace_of(claim), name_of(claim))
        return own and ref.get("uid") in (None, uid_of(claim))
    if want.get("volumeName"):
        return bool(want["volumeName"] == name_of(volume))
    asked = ((want.get("resources") or {}).get("requests") or {}).get("storage") or "0"
    labels = volume["metadata"].get("labels") or {}
    return (
        (have.get("storageClassName") or "") == want.get("storageClassName", LOCAL_CLASS)
        and set(want.get("accessModes") or ()) <= set(have.get("accessModes") or ())
        and size_of(volume) >= parse_quantity(str(asked))
        and selector_of(want.get("selector") or {}).matches(labels)
        and not volume["metadata"].get("deletionTimestamp")
    )
