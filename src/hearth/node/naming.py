"""Which names of services exist, as the API has it now or had it a moment ago."""

from __future__ import annotations

import time

from hearth.api.errors import ApiError, NotFound
from hearth.api.kinds import CORE_SERVICE
from hearth.api.meta import labels_of
from hearth.api.names import ROUTE_LABEL
from hearth.client import Client

_REMEMBERED_S = 2.0
_REMEMBERED_MAX = 4096


class ServiceNames:
    """Asks the API for the Services that stand for Routes and their tags."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[tuple[str, str], tuple[float, bool]] = {}

    async def exists(self, name: str, namespace: str) -> bool:
        """Whether a Route is reached by that name; while the API is away what held holds."""
        now = time.monotonic()
        at, known = self._known.get((name, namespace), (float("-inf"), False))
        if now - at < _REMEMBERED_S:
            return known
        try:
            known = ROUTE_LABEL in labels_of(await self._client.get(CORE_SERVICE, namespace, name))
        except NotFound:
            known = False
        except (ApiError, ConnectionError):
            return known
        if len(self._known) >= _REMEMBERED_MAX:
            self._known.clear()
        self._known[name, namespace] = (now, known)
        return known
