"""Makes small images: one layer of files, as ``docker save`` writes them."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  #: OCI's names


def image_archive(
    name: str, files: Mapping[str, bytes], entrypoint: Sequence[str], **config: Any
) -> bytes:
    """A docker archive for this machine's processor.

    Args:
        name: with its tag.
        files: contents by path; all can be run.
        entrypoint: what it runs.
        config: more of the image's ``config``, such as ``User`` or ``Env``.
    """
    layer = _tar(files, mode=0o755)
    machine = platform.machine()
    about = {
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": {"Entrypoint": list(entrypoint), **config},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    parts = {
        "layer.tar": layer,
        "config.json": json.dumps(about).encode(),
        "manifest.json": json.dumps(manifest).encode(),
    }
    return _tar(parts, mode=0o644)


def _tar(files: Mapping[str, bytes], mode: int) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        folders = {str(folder) for path in files for folder in PurePosixPath(path).parents} - {"."}
        for folder in sorted(folders):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()
