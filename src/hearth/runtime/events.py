"""Records Kubernetes events on objects, beside the work, never in its way."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from typing import Any

from hearth.api.errors import ApiError
from hearth.api.kinds import CORE_EVENT
from hearth.api.meta import Wire, name_of, namespace_of, resource_version_of, uid_of
from hearth.client import Client
from hearth.kit.clock import Clock, SystemClock
from hearth.kit.times import rfc3339

log = logging.getLogger(__name__)

_WAITING_MAX = 1000  #: events not yet written; more are dropped and counted
_REMEMBERED_MAX = 4096  #: events whose count can still be raised


class EventRecorder:
    """Writes events of one component; the same event again raises its count."""

    def __init__(self, client: Client, component: str, clock: Clock | None = None) -> None:
        """Record as ``component`` (``source.component`` of each event)."""
        self._client = client
        self._component = component
        self._clock = clock or SystemClock()
        self._queue: asyncio.Queue[Wire] = asyncio.Queue(_WAITING_MAX)
        self._counts: OrderedDict[str, tuple[int, str]] = OrderedDict()
        self.dropped = 0  #: events lost because too many waited

    def record(self, about: Wire, kind: str, reason: str, message: str) -> None:
        """Note what happened to the object ``about``.

        Args:
            about: a wire object with apiVersion, kind and metadata.
            kind: ``Normal`` or ``Warning``.
            reason: CamelCase, e.g. ``Claimed``.
            message: for a human.
        """
        try:
            self._queue.put_nowait(self._event(about, kind, reason, message))
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Write what was recorded, one at a time, until cancelled."""
        while True:
            event = await self._queue.get()
            try:
                await self._write(event)
            except (ApiError, ConnectionError) as error:
                facts = {"event": name_of(event), "because": str(error)}
                log.debug("event not written", extra={"f": facts})

    async def _write(self, event: Wire) -> None:
        namespace, name = namespace_of(event), name_of(event)
        count, first = self._counts.get(name, (0, event["firstTimestamp"]))
        self._counts[name] = (count + 1, first)
        self._counts.move_to_end(name)
        if len(self._counts) > _REMEMBERED_MAX:
            self._counts.popitem(last=False)
        if count:
            again = {"count": count + 1, "lastTimestamp": event["lastTimestamp"]}
            try:
                await self._client.patch(CORE_EVENT, namespace, name, again)
            except ApiError:
                self._counts[name] = (1, event["firstTimestamp"])
            else:
                return
        await self._client.create(CORE_EVENT, event)

    def _event(self, about: Wire, kind: str, reason: str, message: str) -> Wire:
        now = rfc3339(self._clock.now())
        identity = "\0".join((uid_of(about), kind, reason, message, self._component))
        digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
        namespace = namespace_of(about) or "default"
        involved: dict[str, Any] = {
            "apiVersion": about.get("apiVersion", ""),
            "kind": about.get("kind", ""),
            "namespace": namespace_of(about),
            "name": name_of(about),
            "uid": uid_of(about),
            "resourceVersion": resource_version_of(about),
        }
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"namespace": namespace, "name": f"{name_of(about)}.{digest}"},
            "involvedObject": involved,
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "reportingInstance": "",
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
