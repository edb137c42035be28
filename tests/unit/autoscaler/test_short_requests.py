import asyncio

from hearth.api.activation import RevisionStat, StatReport
from hearth.api.kinds import POOLED_REPLICA_SET, REVISION
from hearth.autoscaler import ShardAutoscaler
from hearth.client import Client
from hearth.kit.clock import SystemClock
from hearth.runtime import EventRecorder, Informers
from tests.unit.fake_api import FakeApi
from tests.unit.virtual import run_virtual


class LoopClock(SystemClock):
    """Intervals in the virtual time of the loop."""

    def monotonic_s(self):
        return asyncio.get_running_loop().time()


def scale_after(requests):
    """The scale after two minutes of requests too short for any sample to meet one."""

    async def story():
        api = FakeApi()
        client = Client(api)
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        revision = {"metadata": {"name": "r-1"}, "spec": {"containers": [{}]}, "status": ready}
        api.put(REVISION, revision)
        template = {"spec": {"containers": [{}]}}
        api.put(POOLED_REPLICA_SET, {"metadata": {"name": "r-1"},
                                     "spec": {"replicas": 1, "template": template}})  # fmt: skip
        informers, clock = Informers(client), LoopClock()
        events = EventRecorder(client, "test", clock)
        autoscaler = ShardAutoscaler(client, informers, None, clock, events)
        tasks = [asyncio.create_task(informers.run())]
        await informers.wait_synced()
        tasks += [asyncio.create_task(part.run()) for part in autoscaler.parts()]
        for _ in range(120):
            stat = RevisionStat("default", "r-1", requests=requests)
            await autoscaler.report(StatReport("gateway", 1.0, [stat]))
            await asyncio.sleep(1)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return api.get(POOLED_REPLICA_SET, "r-1")["spec"]["replicas"]

    return run_virtual(story())[0]


def test_requests_that_no_sample_meets_keep_the_last_pod():
    assert scale_after(requests=3) == 1


def test_without_any_it_goes():
    assert scale_after(requests=0) == 0
