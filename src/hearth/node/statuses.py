"""Writes a pod's status to the API: once for all changes that came meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from hearth.api.errors import ApiError, Conflict, NotFound
from hearth.api.kinds import POD
from hearth.api.meta import Wire, name_of, namespace_of, uid_of
from hearth.client import Client
from hearth.kit.backoff import backoff_s
from hearth.kit.times import rfc3339

log = logging.getLogger(__name__)

_WRITES_MAX = 8  #: tries at a status before it is left to the next change


class StatusWriter:
    """Writes what ``status`` gives for the pod that ``pod`` gives."""

    def __init__(
        self, client: Client, pod: Callable[[], Wire], status: Callable[[str], Wire]
    ) -> None:
        """Write with ``client``; ``status`` is given the time as RFC 3339."""
        self._client = client
        self._pod = pod
        self._status = status
        self._dirty = asyncio.Event()
        self._missed = False  #: the object was not where it was last seen

    def changed(self) -> None:
        """The status is another now."""
        self._dirty.set()

    def moved(self) -> None:
        """The object is seen in another place: write what did not find it."""
        if self._missed:
            self._missed = False
            self._dirty.set()

    async def run(self) -> None:
        """Write until cancelled."""
        failures = 0
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            pod = self._pod()
            patch = {
                "metadata": {"uid": uid_of(pod)},
                "status": self._status(rfc3339(datetime.now(UTC))),
            }
            where = (POD, namespace_of(pod), name_of(pod))
            try:
                await self._client.patch(*where, patch, subresource="status")
                failures = 0
            except NotFound:
                self._missed = True
                if namespace_of(self._pod()) != namespace_of(pod):
                    self.moved()
            except (ApiError, ConnectionError) as error:
                failures += 1
                facts = {"pod": name_of(pod), "because": str(error)}
                log.warning("status not written", extra={"f": facts})
                await asyncio.sleep(backoff_s(failures, base_s=0.05, max_s=5))
                if failures < _WRITES_MAX:
                    self._dirty.set()


async def remove_object(client: Client, pod: Wire) -> None:
    """Remove the pod's object, if it still is this very pod."""
    for attempt in range(_WRITES_MAX):
        try:
            await client.delete(
                POD, namespace_of(pod), name_of(pod), uid=uid_of(pod), grace_period_s=0
            )
        except (NotFound, Conflict):
            return
        except (ApiError, ConnectionError):
            await asyncio.sleep(backoff_s(attempt + 1, base_s=0.05))
        else:
            return
