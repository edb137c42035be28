"""Finds nodes that fell silent: what Kubernetes' node controller does on a cluster.

A silent node is not ready, and its pods are gone as far as anyone can tell: they are removed, so
that routing lets go of them and their owners make others. A node that comes back ends what it still
runs, as those pods no longer exist.
"""

from __future__ import annotations

import asyncio
import logging

from hearth.api.errors import ApiError, NotFound
from hearth.api.kinds import NODE, POD
from hearth.api.meta import Wire, name_of, namespace_of, spec_of, uid_of
from hearth.api.nodes import STALE_S, is_stale
from hearth.client import Client
from hearth.kit.clock import Clock
from hearth.kit.tasks import Part
from hearth.kit.times import rfc3339
from hearth.runtime import Informers

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 5.0


class NodeWatch:
    """Looks at the nodes' heartbeats. Belongs to one event loop."""

    def __init__(self, client: Client, informers: Informers, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._informers = informers
        self._nodes = informers.of(NODE, label_selector="")
        self._pods = informers.of(POD, label_selector="")

    def parts(self) -> list[Part]:
        """What must run."""
        return [Part("node watch", self._run)]

    async def _run(self) -> None:
        await self._informers.wait_synced()
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            for node in self._nodes.list():
                if is_stale(node, self._clock.now()):
                    await self._give_up(node)

    async def _give_up(self, node: Wire) -> None:
        name = name_of(node)
        log.error("node fell silent", extra={"f": {"node": name, "after_s": STALE_S}})
        said = f"the node agent has not said anything for {STALE_S:g} s"
        ready = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}
        since = {"lastTransitionTime": rfc3339(self._clock.now()), "message": said}
        patch = {"status": {"conditions": [{**ready, **since}]}}
        try:
            await self._client.patch(NODE, "", name, patch, subresource="status")
            for pod in self._pods.list():
                if spec_of(pod).get("nodeName") == name:
                    await self._remove(pod)
        except (ApiError, ConnectionError) as error:
            log.warning("node not given up", extra={"f": {"node": name, "because": str(error)}})

    async def _remove(self, pod: Wire) -> None:
        try:
            await self._client.delete(
                POD, namespace_of(pod), name_of(pod), uid=uid_of(pod), grace_period_s=0
            )
        except NotFound:
            return
