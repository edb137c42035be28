"""A real image registry with a password, and a client that puts images into it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.system.running import eventually, free_port

USER, PASSWORD = "reader", "opensesame"
#: The line of an htpasswd file for them, by bcrypt.
_HASHED = f"{USER}:$2b$04$6/dawmnpAVnyErz2XEmIrubO82aom/OYxPpfsU/h5sfbyQQcFWxjS\n"
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar"

needs_registry = pytest.mark.skipif(
    shutil.which("docker-registry") is None, reason="docker-registry is not installed"
)


@dataclass(frozen=True)
class Registry:
    """One that listens on the loopback, at ``host``."""

    host: str

    def push(self, name: str, archive: bytes) -> str:
        """Put the image of a docker archive there as ``NAME:TAG``; returns its digest."""
        repository, _, tag = name.partition(":")
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            parts = {entry.name: tar.extractfile(entry) for entry in tar if entry.isfile()}
            config, layer = (parts[name].read() for name in ("config.json", "layer.tar"))
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self._blob(repository, config, _CONFIG),
            "layers": [self._blob(repository, layer, _LAYER)],
        }
        body = json.dumps(manifest).encode()
        self._ask("PUT", f"/v2/{repository}/manifests/{tag}", body, _MANIFEST)
        return _digest(body)

    def push_list(self, name: str, digest: str, size: int, architecture: str) -> None:
        """Put a list of images there, with one that is for that architecture alone."""
        repository, _, tag = name.partition(":")
        platform = {"architecture": architecture, "os": "linux"}
        one = {"mediaType": _MANIFEST, "digest": digest, "size": size, "platform": platform}
        body = json.dumps({"schemaVersion": 2, "mediaType": _LIST, "manifests": [one]}).encode()
        self._ask("PUT", f"/v2/{repository}/manifests/{tag}", body, _LIST)

    def forget(self, name: str, digest: str) -> None:
        """Delete an image."""
        self._ask("DELETE", f"/v2/{name}/manifests/{digest}")

    def secret(self, name: str, password: str = PASSWORD) -> dict[str, object]:
        """A pull secret for it."""
        auths = {self.host: {"username": USER, "password": password}}
        return {
            "metadata": {"name": name, "namespace": "default"},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": json.dumps({"auths": auths})},
        }

    def _blob(self, repository: str, content: bytes, kind: str) -> dict[str, object]:
        where = self._ask("POST", f"/v2/{repository}/blobs/uploads/").headers["location"]
        path = where.removeprefix(f"http://{self.host}")
        digest = _digest(content)
        self._ask("PUT", f"{path}&digest={digest}", content, "application/octet-stream")
        return {"mediaType": kind, "size": len(content), "digest": digest}

    def _ask(self, method, path, body=b"", kind=""):
        known = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        headers = {"Authorization": f"Basic {known}", "Content-Type": kind}
        url = f"http://{self.host}{path}"
        request = urllib.request.Request(url, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()
            return answer


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@contextlib.contextmanager
def registry(folder: Path) -> Iterator[Registry]:
    """One for the length of a block."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "htpasswd").write_text(_HASHED)
    found = Registry(f"127.0.0.1:{free_port()}")
    config = {
        "version": "0.1",
        "storage": {
            "filesystem": {"rootdirectory": str(folder / "images")},
            "delete": {"enabled": True},
        },
        "http": {"addr": found.host},
        "auth": {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}},
    }
    (folder / "config.yml").write_text(json.dumps(config))
    command = ["docker-registry", "serve", str(folder / "config.yml")]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            eventually(lambda: _answers(found), 10, "the registry answers")
            yield found
        finally:
            process.terminate()


def _answers(found: Registry) -> bool:
    with contextlib.suppress(OSError):
        found._ask("GET", "/v2/")
        return True
    return False
