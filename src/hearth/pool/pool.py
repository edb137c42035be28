"""The pool as others see it: instances at once, and two reconcilers."""

from __future__ import annotations

import asyncio

from hearth.api.activation import Activation
from hearth.api.errors import AlreadyExists
from hearth.api.kinds import POD_POOL
from hearth.api.meta import ObjectKey
from hearth.api.names import SYSTEM_NAMESPACE
from hearth.client import Client
from hearth.kit.clock import Clock
from hearth.kit.tasks import Part
from hearth.pool.claiming import Claiming
from hearth.pool.pools import Pools
from hearth.pool.resources import DEFAULT_LEVEL, make_default_pool
from hearth.pool.sets import BusyInstances, Sets
from hearth.runtime import EventRecorder, Informers, run_controller

WORKERS = 8  #: reconciles of each kind at once


class Pool:
    """A :class:`hearth.api.activation.Instances`."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        clock: Clock,
        events: EventRecorder,
        *,
        kubelets: bool = False,
    ) -> None:
        """Prepare; ``kubelets`` says that a cluster's run the pods, instead of our node agents."""
        self._client = client
        self._informers = informers
        self._claiming = Claiming(client, informers, clock, events, kubelets=kubelets)
        self._sets = Sets(client, informers, self._claiming, clock)
        self._pools = Pools(client, informers, self._claiming, clock)

    async def ensure(self, key: ObjectKey, replicas: int) -> Activation:
        """See :meth:`hearth.api.activation.Instances.ensure`."""
        return await self._sets.ensure(key, replicas)

    def follow_load(self, busy: BusyInstances) -> None:
        """Ask this which instances are busy, so that idle ones are taken away first."""
        self._sets.busy = busy

    async def make_default(self, level: int | None) -> None:
        """Create the default PodPool if there is none; set its level if one is given."""
        if self._claiming.kubelets:
            return  # a cluster's pools are in the namespaces that use them
        default = make_default_pool(DEFAULT_LEVEL if level is None else level)
        try:
            await self._client.create(POD_POOL, default)
        except AlreadyExists:
            if level is not None:
                patch = {"spec": {"replicas": level}}
                await self._client.patch(POD_POOL, SYSTEM_NAMESPACE, "python", patch)

    async def metrics(self) -> str:
        """Figures of the pools: a :data:`hearth.kit.metrics.Source`."""
        return await self._pools.metrics()

    def parts(self) -> list[Part]:
        """What must run."""
        return [Part("pool", self._run)]

    async def _run(self) -> None:
        await self._informers.wait_synced()
        try:
            async with asyncio.TaskGroup() as group:
                for name, kind in (("replica sets", self._sets), ("pools", self._pools)):
                    group.create_task(run_controller(name, kind, kind.queue, workers=WORKERS))
        finally:
            await self._sets.close()
            await self._claiming.close()
