"""The code store: packages by digest, in files."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

from hearth.api.errors import BadRequest, NotFound, ServiceUnavailable, TooLarge
from hearth.api.http import Response

PACKAGE_MAX_BYTES = 250 * 2**20
_CHUNK_BYTES = 2**18
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}$")
_PATH = re.compile(
    r"/apis/hearth\.dev/v1alpha1/namespaces/(?P<namespace>[a-z0-9-]+)/packages/(?P<digest>[^/]+)$"
)


def parse_package_path(path: str) -> tuple[str, str] | None:
    """Namespace and digest of a package's path, or None for another path.

    Raises:
        BadRequest: the digest is not one.
    """
    found = _PATH.match(path)
    if not found:
        return None
    if not _DIGEST.match(found["digest"]):
        raise BadRequest(f"package {found['digest']!r}: expected sha256: and 64 hexadecimal digits")
    return found["namespace"], found["digest"]


class Packages:
    """The packages of all tenants, below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def answer(
        self, method: str, tenant: str, name: tuple[str, str], body: bytes
    ) -> Response:
        """Answer a request for one package."""
        file = self._folder / tenant / name[0] / name[1].replace(":", "-")
        if method == "PUT":
            return await asyncio.to_thread(self._put, file, name[1], body)
        if not file.exists():
            raise NotFound(f'packages.hearth.dev "{name[1]}" not found in namespace {name[0]}')
        size = {"content-length": str(file.stat().st_size)}
        if method == "HEAD":
            return Response(200, size)
        return Response(
            200, {**size, "content-type": "application/octet-stream"}, stream=_read(file)
        )

    def _put(self, file: Path, digest: str, body: bytes) -> Response:
        if len(body) > PACKAGE_MAX_BYTES:
            raise TooLarge(f"package {digest}: {len(body)} bytes, at most {PACKAGE_MAX_BYTES}")
        have = f"sha256:{hashlib.sha256(body).hexdigest()}"
        if have != digest:
            raise BadRequest(f"package {digest}: the body's digest is {have}")
        if file.exists():
            return Response(200)
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            new = file.with_suffix(f".{os.getpid()}.new")
            with new.open("wb") as out:
                out.write(body)
                out.flush()
                os.fsync(out.fileno())
            new.replace(file)
        except OSError as error:
            raise ServiceUnavailable(f"package {digest}: cannot be kept: {error}") from error
        return Response(201)


async def _read(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as source:
        while chunk := await asyncio.to_thread(source.read, _CHUNK_BYTES):
            yield chunk
