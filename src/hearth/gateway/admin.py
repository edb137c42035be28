"""Asks Envoy's administration, over its unix socket."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import aiohttp

_TIMEOUT_S = 2.0
_ACTIVE = re.compile(r"^hold(?:-h2)?::(.+)::rq_active::(\d+)$", re.M)


class Admin:
    """One Envoy's administration."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    async def is_live(self) -> bool:
        """Whether it answers requests: its listeners are there, and all they need."""
        try:
            await self._get("/ready")
        except (OSError, TimeoutError):
            return False
        return True

    async def let_go(self) -> dict[str, int]:
        """Streams that were held and are now with an instance, by its address.

        Raises:
            OSError, TimeoutError: it does not answer.
        """
        found: dict[str, int] = {}
        for address, active in _ACTIVE.findall(await self._get("/clusters?filter=^hold")):
            found[address] = found.get(address, 0) + int(active)
        return {address: active for address, active in found.items() if active}

    async def _get(self, path: str) -> str:
        connector = aiohttp.UnixConnector(self._path)
        try:
            async with (
                asyncio.timeout(_TIMEOUT_S),
                aiohttp.ClientSession(connector=connector, raise_for_status=True) as session,
                session.get(f"http://envoy{path}") as response,
            ):
                return await response.text()
        except aiohttp.ClientError as error:
            raise ConnectionError(str(error)) from error
