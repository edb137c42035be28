"""Layers and archives of images: the same files make the same bytes.

Source: opencontainers/image-spec v1.1 (image-layout, manifest, config).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_LEVEL = 6  #: of compression


@dataclass(frozen=True, slots=True)
class File:
    """A file of a layer: its bytes, or for a link where it leads; a folder has neither."""

    data: bytes = b""
    link: str = ""
    mode: int = 0o644
    is_folder: bool = False


#: Files by path without a leading slash.
Tree = dict[str, File]


@dataclass(frozen=True, slots=True)
class Layer:
    """A compressed layer."""

    blob: bytes
    diff_id: str  #: digest of what it is uncompressed

    @property
    def digest(self) -> str:
        """Of the blob."""
        return digest_of(self.blob)


@dataclass(frozen=True, slots=True)
class Image:
    """What an archive holds."""

    reference: str  #: with a tag
    layers: Sequence[Layer]
    entry_point: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    user: str = "65532:65532"
    working_dir: str = "/"


def digest_of(data: bytes) -> str:
    """As OCI writes it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def tree_of(folder: Path, prefix: str) -> Tree:
    """The files below a folder; executable ones stay so."""
    tree: Tree = {}
    for path in sorted(folder.rglob("*")):
        name = f"{prefix}/{path.relative_to(folder)}".lstrip("/")
        if path.is_symlink():
            tree[name] = File(link=str(path.readlink()), mode=0o777)
        elif path.is_file():
            executable = path.stat().st_mode & 0o100
            tree[name] = File(path.read_bytes(), mode=0o755 if executable else 0o644)
    return tree


def make_layer(tree: Tree) -> Layer:
    """The layer of these files and the folders above them, owned by root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, file in sorted(_with_folders(tree).items()):
            tar.addfile(_entry(name, file), io.BytesIO(file.data))
    data = buffer.getvalue()
    blob = gzip.compress(data, _LEVEL, mtime=0)
    return Layer(blob, digest_of(data))


def _with_folders(tree: Tree) -> Tree:
    whole = dict(tree)
    for name in tree:
        for above in Path(name).parents:
            if str(above) != ".":
                whole.setdefault(str(above), File(is_folder=True, mode=0o755))
    return whole


def _entry(name: str, file: File) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.size = file.mode, len(file.data)
    if file.is_folder:
        entry.type = tarfile.DIRTYPE
    elif file.link:
        entry.type, entry.linkname = tarfile.SYMTYPE, file.link
    return entry


def write_archive(image: Image, architecture: str, out: Path) -> str:
    """Write the image as an OCI archive that containerd, podman and skopeo read.

    Returns:
        The digest of its manifest.
    """
    config = _json(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {
                "User": image.user,
                "Entrypoint": list(image.entry_point),
                "Env": [f"{name}={value}" for name, value in image.environment.items()],
                "WorkingDir": image.working_dir,
                "Labels": dict(image.labels),
            },
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in image.layers]},
        }
    )
    layers = [_descriptor(LAYER, layer.blob) for layer in image.layers]
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _descriptor(CONFIG, config),
            "layers": layers,
        }
    )
    named = {
        "io.containerd.image.name": image.reference,
        "org.opencontainers.image.ref.name": image.reference.rpartition(":")[2],
    }
    top = {**_descriptor(MANIFEST, manifest), "annotations": named}
    index = _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [top]})
    tree: Tree = {
        "oci-layout": File(_json({"imageLayoutVersion": "1.0.0"})),
        "index.json": File(index),
    }
    for blob in (config, manifest, *(layer.blob for layer in image.layers)):
        tree[f"blobs/sha256/{digest_of(blob).partition(':')[2]}"] = File(blob)
    unfinished = out.with_suffix(".part")
    with tarfile.open(unfinished, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, file in sorted(_with_folders(tree).items()):
            tar.addfile(_entry(name, file), io.BytesIO(file.data))
    unfinished.rename(out)
    return digest_of(manifest)


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(blob), "size": len(blob)}


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def extend(archive: Path, reference: str, tree: Tree, entry_point: Sequence[str], out: Path) -> str:
    """Write an image that is another one with files on top: what ``FROM`` does.

    Returns:
        The digest of its manifest.
    """
    with tarfile.open(archive) as tar:
        read = {entry.name: _content(tar, entry) for entry in tar if entry.isfile()}
    manifest = json.loads(read[_blob_path(json.loads(read["index.json"])["manifests"][0])])
    config = json.loads(read[_blob_path(manifest["config"])])
    diff_ids = config["rootfs"]["diff_ids"]
    below = [
        Layer(read[_blob_path(each)], diff_id)
        for each, diff_id in zip(manifest["layers"], diff_ids, strict=True)
    ]
    environment = dict(each.split("=", 1) for each in config["config"]["Env"])
    image = Image(reference, [*below, make_layer(tree)], entry_point, environment)
    return write_archive(image, config["architecture"], out)


def _blob_path(descriptor: Mapping[str, Any]) -> str:
    return f"blobs/sha256/{str(descriptor['digest']).partition(':')[2]}"


def _content(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(entry)
    assert file is not None
    return file.read()
