"""A pool is filled whatever becomes of its pods meanwhile."""

import asyncio

from hearth.api.kinds import POD, POD_POOL, SECRET
from hearth.api.meta import ObjectKey, name_of
from hearth.api.names import SYSTEM_NAMESPACE
from hearth.client import Client
from hearth.pool.claiming import Claiming, place_of
from hearth.pool.core import claims
from hearth.pool.pools import Pools
from hearth.runtime import EventRecorder, Informers
from tests.unit.fake_api import FakeApi
from tests.unit.pool.test_sets import LoopClock
from tests.unit.virtual import run_virtual

KEY = ObjectKey("root", SYSTEM_NAMESPACE, "python")
CONTAINER = {"name": "user-container", "image": "hearth.dev/runtimes/python"}


def filling(level, act):
    """Run ``act`` with the API, the pools and the claims of a pool of that level."""

    async def story():
        api = FakeApi()
        api.put(SECRET, {"metadata": {"name": "pool-key"}, "data": {"key": "a2V5"}}, KEY.namespace)
        spec = {"replicas": level, "template": {"spec": {"containers": [CONTAINER]}}}
        api.put(POD_POOL, {"metadata": {"name": KEY.name}, "spec": spec}, KEY.namespace)
        client, clock = Client(api), LoopClock()
        informers = Informers(client)
        claiming = Claiming(client, informers, clock, EventRecorder(client, "test", clock))
        pools = Pools(client, informers, claiming, clock)
        running = asyncio.create_task(informers.run())
        await informers.wait_synced()
        try:
            await pools.reconcile(KEY)
            await asyncio.sleep(1)
            return await act(api, client, pools, claiming)
        finally:
            running.cancel()
            await claiming.close()

    return run_virtual(story())[0]


def test_a_pod_that_was_claimed_before_the_next_look_is_replaced():
    async def act(api, client, pools, claiming):
        [first] = api.all(POD)
        await client.delete(POD, KEY.namespace, name_of(first), grace_period_s=0)
        await asyncio.sleep(1)
        await pools.reconcile(KEY)
        return name_of(first), [name_of(pod) for pod in api.all(POD)]

    first, now = filling(1, act)
    assert len(now) == 1
    assert now != [first]


def test_an_app_that_ends_its_pod_does_not_slow_the_filling_down():
    async def act(api, client, pools, claiming):
        [pod] = api.all(POD)
        claiming.claims.on(claims.PodWarm("python", place_of(KEY.namespace, name_of(pod))))
        granted = claiming.claims.on(claims.Claim(KEY, ("python",), 0.0))
        assert isinstance(granted, claims.Grant)
        await client.patch(
            POD, KEY.namespace, name_of(pod), {"status": {"phase": "Failed"}}, subresource="status"
        )
        await asyncio.sleep(1)
        again = await pools.reconcile(KEY)
        return again.again_after_s, name_of(pod), [name_of(one) for one in api.all(POD)]

    again_after_s, spent, now = filling(1, act)
    assert again_after_s is None
    assert now != [spent]
