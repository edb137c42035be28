"""Materialises the volumes of pods as directories of this machine.

``STATE/volumes/UID/NAME`` for what lives and ends with its pod. Neutral of the runtime: whoever
runs the pod binds the paths to where its containers want them (``mounts_of``).

Source: k8s.io/api/core/v1 Volume; messages are kubelet's, because they end up in events.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hearth.api.errors import ApiError, NotFound
from hearth.api.kinds import CONFIG_MAP, SECRET, SERVICE_ACCOUNT, Kind
from hearth.api.meta import Wire, name_of, namespace_of, spec_of, uid_of
from hearth.api.quantities import parse_quantity
from hearth.client import Client
from hearth.loader.mounts import mount_tmpfs, unmount
from hearth.node.atomic import give_to_group, write_files
from hearth.node.claims import Claims
from hearth.node.core.payload import (
    File,
    VolumeFault,
    default_mode,
    files_of_keys,
    files_of_pod,
    token_file,
)
from hearth.runtime.environment import expand

__all__ = ["Mount", "VolumeFault", "Volumes", "mounts_of"]

TOKEN_LIFETIME_S = 3600  #: of a service account's token, when its volume does not say
TOKEN_RENEW_SHARE = 0.8  #: of its lifetime, after which a token is replaced (kubelet's)
_UNMOUNT = (
    'while read -r _ path _; do case "$path" in "$1"/*) umount -l "$path";; esac; '
    "done < /proc/self/mounts"
)
_REFRESHED = ("secret", "configMap", "projected", "downwardAPI")


@dataclass(frozen=True, slots=True)
class Mount:
    """A directory or file of this machine, to be seen by a container."""

    source: Path
    target: str  #: absolute path in the container
    read_only: bool


@dataclass(slots=True)
class _Token:
    """A token that was asked for."""

    value: str
    renew_at_s: float  #: of the machine's clock


class Volumes:
    """The volumes of one node's pods. Belongs to one event loop."""

    def __init__(
        self,
        client: Client,
        state: Path,
        node: str,
        allocatable: Mapping[str, str] | None = None,
    ) -> None:
        """Keep them below ``state``; ``allocatable`` of the node is for the downward API."""
        self._client = client
        self._claims = Claims(client, node, state)
        self._root = state.resolve() / "volumes"
        self._allocatable = allocatable or {}
        self._pods: dict[str, dict[tuple[str, str, int], _Token]] = {}  #: tokens by pod

    async def materialise(self, pod: Wire, only: set[str] | None = None) -> dict[str, Path]:
        """Every volume of the pod by its name; calling it again is harmless.

        Args:
            pod: with UID, namespace and spec.
            only: the volumes to make; None for all.

        Raises:
            VolumeFault: one of them cannot be had now; ask again later.
        """
        found = {}
        for volume in spec_of(pod).get("volumes") or ():
            name = str(volume.get("name"))
            if only is None or name in only:
                found[name] = await self._one(pod, volume, fresh=True)
        return found

    async def refresh(self, pod: Wire) -> None:
        """Bring what shows other objects up to date; what cannot be read now stays as it is."""
        for volume in spec_of(pod).get("volumes") or ():
            if any(source in volume for source in _REFRESHED):
                with contextlib.suppress(VolumeFault):
                    await self._one(pod, volume, fresh=False)

    async def remove(self, uid: str) -> None:
        """End all that lived with the pod."""
        self._pods.pop(uid, None)
        await self._remove(self._root / uid)

    async def sweep(self, uids: set[str]) -> None:
        """Remove what an earlier agent left of pods other than these."""
        for folder in self._root.glob("*"):
            if folder.name not in uids:
                await self._remove(folder)

    async def _remove(self, folder: Path) -> None:
        for path in _mounts_below(folder):
            with contextlib.suppress(OSError):
                unmount(path)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    @property
    def at_end(self) -> list[str]:
        """A command that unmounts everything, for when the agent is killed."""
        return ["/bin/sh", "-c", _UNMOUNT, "unmount", str(self._root)]

    async def close(self) -> None:
        """Unmount everything; files stay for the next agent to sweep."""
        for path in _mounts_below(self._root):
            with contextlib.suppress(OSError):
                unmount(path)

    async def _one(self, pod: Wire, volume: Wire, *, fresh: bool) -> Path:
        name = str(volume.get("name"))
        try:
            if (source := volume.get("hostPath")) is not None:
                return _host_path(source)
            if (source := volume.get("persistentVolumeClaim")) is not None:
                return await self._claimed(pod, source)
            directory = self._root / uid_of(pod) / name
            if (source := volume.get("emptyDir")) is not None:
                self._empty_dir(pod, directory, source)
                return directory
            files = await self._files(pod, volume)
            if fresh:
                _make_directory(directory, 0o755)
            await asyncio.to_thread(write_files, directory, files, _group(pod))
        except VolumeFault as error:
            raise VolumeFault(f'MountVolume.SetUp failed for volume "{name}" : {error}') from error
        except ApiError as error:
            said = f'MountVolume.SetUp failed for volume "{name}" : {error.message}'
            raise VolumeFault(said) from error
        except OSError as error:
            said = f'MountVolume.SetUp failed for volume "{name}" : {error}'
            raise VolumeFault(said) from error
        return directory

    # Directories

    def _empty_dir(self, pod: Wire, directory: Path, source: Wire) -> None:
        if directory.exists():
            return
        _make_directory(directory, 0o777)
        if source.get("medium") == "Memory":
            limit = source.get("sizeLimit")
            size_bytes = int(parse_quantity(str(limit))) if limit else 0
            try:
                mount_tmpfs(str(directory), mode=0o777, size_bytes=size_bytes)
            except OSError as error:
                directory.rmdir()
                raise VolumeFault(f"medium Memory: {error}") from error
        elif source.get("medium"):
            directory.rmdir()
            raise VolumeFault(f"medium {source['medium']}: this node has none")
        if (group := _group(pod)) is not None:
            give_to_group(directory, group)
            directory.chmod(0o2777)

    async def _claimed(self, pod: Wire, source: Wire) -> Path:
        claim = str(source.get("claimName"))
        directory = await self._claims.directory(namespace_of(pod), claim)
        if (group := _group(pod)) is not None:
            await asyncio.to_thread(give_to_group, directory, group)
            directory.chmod(directory.stat().st_mode | 0o2770)
        return directory

    # Files

    async def _files(self, pod: Wire, volume: Wire) -> dict[str, File]:
        for name, source in volume.items():
            if name in ("secret", "configMap"):
                named = {**source, "name": source.get("secretName") or source.get("name")}
                return await self._keys(pod, name, named, default_mode(source))
            if name == "downwardAPI":
                mode = default_mode(source)
                return files_of_pod(source.get("items") or (), pod, mode, self._allocatable)
            if name == "projected":
                return await self._projected(pod, source)
        kinds = ", ".join(sorted(volume.keys() - {"name"})) or "nothing"
        raise VolumeFault(f"{kinds}: this node has no such volumes")

    async def _projected(self, pod: Wire, volume: Wire) -> dict[str, File]:
        files: dict[str, File] = {}
        mode = default_mode(volume)
        for part in volume.get("sources") or ():
            for name, source in part.items():
                match name:
                    case "secret" | "configMap":
                        files |= await self._keys(pod, name, source, mode)
                    case "downwardAPI":
                        items = source.get("items") or ()
                        files |= files_of_pod(items, pod, mode, self._allocatable)
                    case "serviceAccountToken":
                        files |= await self._token(pod, source, mode)
                    case _:
                        raise VolumeFault(f"{name}: this node has no such projections")
        return files

    async def _keys(self, pod: Wire, name: str, source: Wire, mode: int) -> dict[str, File]:
        kind, what = (SECRET, "secret") if name == "secret" else (CONFIG_MAP, "config")
        optional = bool(source.get("optional"))
        data = await self._data(kind, namespace_of(pod), str(source.get("name")), optional)
        return files_of_keys(data, source, mode, what, optional=optional)

    async def _data(
        self, kind: Kind, namespace: str, name: str, optional: bool
    ) -> dict[str, bytes]:
        try:
            wire = await self._client.get(kind, namespace, name)
        except NotFound as error:
            if optional:
                return {}
            raise VolumeFault(f'{kind.kind.lower()} "{name}" not found') from error
        plain, encoded = wire.get("data") or {}, wire.get("binaryData") or {}
        if kind is SECRET:
            plain, encoded = {}, plain
        return {
            **{key: str(value).encode() for key, value in plain.items()},
            **{key: base64.b64decode(value) for key, value in encoded.items()},
        }

    async def _token(self, pod: Wire, source: Wire, mode: int) -> dict[str, File]:
        lifetime_s = int(source.get("expirationSeconds") or TOKEN_LIFETIME_S)
        audience = str(source.get("audience") or "")
        account = str(spec_of(pod).get("serviceAccountName") or "default")
        asked = (account, audience, lifetime_s)
        tokens = self._pods.setdefault(uid_of(pod), {})
        token = tokens.get(asked)
        if token is None or time.time() >= token.renew_at_s:
            request: Wire = {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {
                    "audiences": [audience] if audience else [],
                    "expirationSeconds": lifetime_s,
                    "boundObjectRef": {
                        "apiVersion": "v1",
                        "kind": "Pod",
                        "name": name_of(pod),
                        "uid": uid_of(pod),
                    },
                },
            }
            answer = await self._client.create(
                SERVICE_ACCOUNT,
                request,
                namespace=namespace_of(pod),
                name=account,
                subresource="token",
            )
            renew_at_s = time.time() + lifetime_s * TOKEN_RENEW_SHARE
            token = _Token(str(answer["status"]["token"]), renew_at_s)
            tokens[asked] = token
        return token_file(source, token.value, mode, _sole_user(pod))


def mounts_of(
    container: Wire, volumes: Mapping[str, Path], environment: Mapping[str, str]
) -> list[Mount]:
    """What a container mounts, in the order in which it must be mounted.

    Args:
        container: its ``volumeMounts``.
        volumes: host path by volume name, as ``materialise`` gave them.
        environment: for ``subPathExpr``.

    Raises:
        VolumeFault: a mount names no volume, or a path that leaves it.
    """
    found = []
    for mount in container.get("volumeMounts") or ():
        name, target = str(mount.get("name")), str(mount.get("mountPath"))
        if name not in volumes:
            raise VolumeFault(f'volumeMount {target}: no volume with name "{name}" found')
        source = volumes[name]
        expression = mount.get("subPathExpr")
        sub = expand(str(expression), environment) if expression else mount.get("subPath")
        if sub:
            source = _sub_path(source, str(sub))
        found.append(Mount(source, f"/{target.strip('/')}", bool(mount.get("readOnly"))))
    return sorted(found, key=lambda mount: mount.target.count("/"))


def _sub_path(volume: Path, sub: str) -> Path:
    if sub.startswith("/") or ".." in sub.split("/"):
        raise VolumeFault(f"subPath {sub!r}: must be relative and must not contain '..'")
    path = volume / sub
    if not path.exists():
        path.mkdir(parents=True)
    resolved = path.resolve()
    if not resolved.is_relative_to(volume.resolve()):
        raise VolumeFault(f"subPath {sub!r}: leads out of its volume")
    return resolved


def _host_path(source: Wire) -> Path:
    path, kind = Path(str(source.get("path"))), str(source.get("type") or "")
    if kind == "DirectoryOrCreate":
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
    elif kind == "FileOrCreate":
        path.touch(mode=0o644)
    checks = {
        "Directory": path.is_dir, "DirectoryOrCreate": path.is_dir, "File": path.is_file,
        "FileOrCreate": path.is_file, "Socket": path.is_socket,
        "CharDevice": path.is_char_device, "BlockDevice": path.is_block_device,
    }  # fmt: skip
    if kind in checks and not checks[kind]():
        raise VolumeFault(f"hostPath type check failed: {path} is not a {kind.lower()}")
    return path


def _make_directory(path: Path, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
    path.mkdir(exist_ok=True)
    path.chmod(mode)


def _group(pod: Wire) -> int | None:
    found = (spec_of(pod).get("securityContext") or {}).get("fsGroup")
    return None if found is None else int(found)


def _sole_user(pod: Wire) -> int | None:
    """The one user that all containers run as, if the pod says so for all."""
    of_pod = (spec_of(pod).get("securityContext") or {}).get("runAsUser")
    users = {
        (container.get("securityContext") or {}).get("runAsUser", of_pod)
        for container in spec_of(pod).get("containers") or ()
    }
    user = users.pop() if len(users) == 1 else None
    return None if user is None else int(user)


def _mounts_below(folder: Path) -> list[str]:
    prefix = f"{folder}{os.sep}"
    try:
        lines = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return []
    return [line.split(" ")[1] for line in lines if line.split(" ")[1].startswith(prefix)]
