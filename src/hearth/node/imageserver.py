"""Serves a node's images over HTTPS: ``GET /images`` lists them, ``POST /images`` loads more."""

from __future__ import annotations

import hmac
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

from aiohttp import web

from hearth.api.meta import Wire

_CHUNK_BYTES = 2**20


class ImagesRefused(Exception):
    """The images cannot be had; ``status`` is HTTP's word for why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class HasImages(Protocol):
    """Who keeps the images; both methods may raise :class:`ImagesRefused`."""

    async def load(self, archive: Path) -> list[str]:
        """Load the archive's images; returns their names."""

    async def images(self) -> list[Wire]:
        """The images that are here, as a Node's status lists them."""


class ImageServer:
    """Answers for one node."""

    def __init__(
        self,
        has: Callable[[], HasImages],
        token: str,
        folder: Path,
        loaded: Callable[[], Awaitable[None]],
    ) -> None:
        """Serve who knows the token.

        Args:
            has: who keeps the images.
            token: that callers must know.
            folder: where archives are put while they are loaded.
            loaded: is called when images have come.
        """
        self._has = has
        self._token = token
        self._folder = folder
        self._loaded = loaded

    def routes(self) -> Sequence[web.RouteDef]:
        """What to add to an application."""
        return [web.get("/images", self._list), web.post("/images", self._load)]

    async def _list(self, request: web.Request) -> web.Response:
        return await self._answer(request, self._found)

    async def _load(self, request: web.Request) -> web.Response:
        return await self._answer(request, lambda: self._received(request))

    async def _answer(
        self, request: web.Request, act: Callable[[], Awaitable[Wire]]
    ) -> web.Response:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(errors="replace"), self._token.encode()):
            return web.Response(status=401, text="unauthorized")
        try:
            return web.json_response(await act())
        except ImagesRefused as error:
            return web.Response(status=error.status, text=str(error))

    async def _found(self) -> Wire:
        return {"images": await self._has().images()}

    async def _received(self, request: web.Request) -> Wire:
        with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".tar") as file:
            async for chunk in request.content.iter_chunked(_CHUNK_BYTES):
                file.write(chunk)
            file.flush()
            names = await self._has().load(Path(file.name))
        await self._loaded()
        return {"images": [{"names": [name]} for name in names]}
