"""Container images of one program, as ko makes them: no base, a user, a temporary folder."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

FOLDER = "/ko-app"  #: where programs are in their images, as in ko's
USER = 65532  #: whom images run as, as ko's do
_PASSWD = b"root:x:0:0:root:/root:/none\nnonroot:x:65532:65532:nonroot:/home/nonroot:/none\n"
_GROUP = b"root:x:0:\nnonroot:x:65532:\n"
_FOLDERS = {FOLDER[1:]: 0o755, "etc": 0o755, "tmp": 0o1777, "var": 0o755, "var/log": 0o755}


def write_archive(reference: str, program: Path, out: Path) -> Path:
    """Write the docker archive of an image whose entry point is ``program``."""
    if out.exists():
        return out
    path = f"{FOLDER[1:]}/{program.name}"
    layer = _layer(program, path)
    diff = hashlib.sha256(layer).hexdigest()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Entrypoint": [f"/{path}"],
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:" + FOLDER],
            "User": str(USER),
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff}"]},
    }
    encoded = json.dumps(config).encode()
    name = f"{hashlib.sha256(encoded).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [reference], "Layers": [f"{diff}.tar"]}]
    unfinished = out.with_suffix(".part")
    with tarfile.open(unfinished, "w") as tar:
        _add(tar, f"{diff}.tar", layer)
        _add(tar, name, encoded)
        _add(tar, "manifest.json", json.dumps(manifest).encode())
    unfinished.rename(out)
    return out


def _layer(program: Path, path: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder, mode in _FOLDERS.items():
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        _add(tar, "etc/passwd", _PASSWD)
        _add(tar, "etc/group", _GROUP)
        _add(tar, path, program.read_bytes(), 0o755)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    tar.addfile(entry, io.BytesIO(data))
