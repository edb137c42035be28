"""The code store: packages by digest, in files."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from hearth.api.errors import (
    BadRequest,
    MethodNotAllowed,
    NotFound,
    ServiceUnavailable,
    TooLarge,
)
from hearth.api.http import Request, Response

PACKAGE_MAX_BYTES = 250 * 2**20
_CHUNK_BYTES = 2**18
_UNFINISHED = ".new"
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
        """Keep packages in ``folder``; what a crash left half written there is removed."""
        self._folder = folder
        for left in folder.glob(f"*/*/*{_UNFINISHED}"):
            left.unlink(missing_ok=True)

    async def answer(self, request: Request, tenant: str, name: tuple[str, str]) -> Response:
        """Answer a request for one package.

        Raises:
            BadRequest: the body is not what the digest says.
            NotFound: there is no such package.
            ServiceUnavailable: it could not be written.
            TooLarge: it is over the limit.
        """
        namespace, digest = name
        file = self._folder / tenant / namespace / digest.replace(":", "-")
        match request.method:
            case "PUT":
                return await self._put(file, digest, request)
            case "GET" | "HEAD":
                return self._get(file, name, request.method)
        raise MethodNotAllowed(f"{request.method} is not supported on packages")

    def _get(self, file: Path, name: tuple[str, str], method: str) -> Response:
        try:
            headers = {"content-length": str(file.stat().st_size)}
        except FileNotFoundError:
            said = f'packages.hearth.dev "{name[1]}" not found in namespace {name[0]}'
            raise NotFound(said) from None
        headers["content-type"] = "application/octet-stream"
        return Response(200, headers, stream=_read(file) if method == "GET" else None)

    async def _put(self, file: Path, digest: str, request: Request) -> Response:
        try:
            incoming = await asyncio.to_thread(_Incoming, file)
            try:
                async for chunk in request.stream or _once(request.body):
                    if incoming.size_bytes + len(chunk) > PACKAGE_MAX_BYTES:
                        raise TooLarge(f"package {digest}: over {PACKAGE_MAX_BYTES} bytes")
                    await asyncio.to_thread(incoming.write, chunk)
                if incoming.digest != digest:
                    raise BadRequest(f"package {digest}: the body's digest is {incoming.digest}")
                is_new = await asyncio.to_thread(incoming.keep)
            finally:
                incoming.close()
        except OSError as error:
            raise ServiceUnavailable(f"package {digest}: cannot be kept: {error}") from error
        return Response(201 if is_new else 200)


class _Incoming:
    """A package while it is received; kept whole, or not at all."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = file
        descriptor, name = tempfile.mkstemp(_UNFINISHED, "", file.parent)
        self._out = os.fdopen(descriptor, "wb")
        self._path = Path(name)
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    @property
    def digest(self) -> str:
        """Of what was received so far."""
        return f"sha256:{self._hash.hexdigest()}"

    def write(self, chunk: bytes) -> None:
        """Take in the next piece."""
        self._out.write(chunk)
        self._hash.update(chunk)
        self.size_bytes += len(chunk)

    def keep(self) -> bool:
        """Give it its name, once it is on disk; returns whether it was not there before."""
        self._out.flush()
        os.fsync(self._out.fileno())
        is_new = not self._file.exists()
        self._path.replace(self._file)
        return is_new

    def close(self) -> None:
        """Remove what was not kept."""
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # a full disk shows again when the rest is flushed
            self._out.close()


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _read(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as source:
        while chunk := await asyncio.to_thread(source.read, _CHUNK_BYTES):
            yield chunk
