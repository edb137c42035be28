"""On a cluster a claim takes a pod of its own namespace, waits for one, or says why not."""

import asyncio

import pytest

from hearth.api.activation import ActivationError
from hearth.api.kinds import POD, POD_POOL, POOLED_REPLICA_SET
from hearth.client import Client
from hearth.pool.claiming import FALLBACK_TIMEOUT_S, Claiming
from hearth.runtime import EventRecorder, Informers
from tests.unit.fake_api import FakeApi
from tests.unit.pool.test_sets import LoopClock
from tests.unit.virtual import run_virtual

RUNTIME = "hearth.dev/runtimes/python"


def replica_set(image):
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"image": image}]}}
    return {"metadata": {"name": "app-00001"}, "spec": {"replicas": 1, "template": template}}


def pool(image=RUNTIME):
    template = {"spec": {"containers": [{"image": image}]}}
    return {"metadata": {"name": "python"}, "spec": {"replicas": 1, "template": template}}


def warm(name):
    ready = [{"type": "Ready", "status": "True"}]
    return {
        "metadata": {"name": name, "labels": {"hearth.dev/podpool": "python"}},
        "spec": {},
        "status": {"phase": "Running", "podIP": "127.0.0.1", "conditions": ready},
    }


def claim(image, furnish, then=None):
    """What a claim of namespace ``default`` says, and the seconds that it took."""

    async def story():
        api = FakeApi()
        wanted = api.put(POOLED_REPLICA_SET, replica_set(image))
        furnish(api)
        client = Client(api)
        informers, clock = Informers(client), LoopClock()
        events = EventRecorder(client, "test", clock)
        claiming = Claiming(client, informers, clock, events, kubelets=True)
        running = asyncio.create_task(informers.run())
        await informers.wait_synced()
        claimed = asyncio.create_task(claiming.claim(wanted))
        if then is not None:
            await asyncio.sleep(1)
            then(api)
        try:
            with pytest.raises(ActivationError) as raised:
                await claimed
        finally:
            running.cancel()
            await claiming.close()
        return raised.value.failure, api.all(POD)

    return run_virtual(story())


def test_code_without_a_pool_says_so_at_once():
    (failure, pods), took_s = claim(RUNTIME, lambda api: None)
    assert failure.reason == "NoPodPool"
    assert "no PodPool of namespace default fits: there is no pool" in failure.message
    assert (pods, took_s < 1) == ([], True)


def test_the_warm_pods_of_another_namespace_are_not_to_be_had():
    def elsewhere(api):
        api.put(POD_POOL, pool(), "other")
        api.put(POD, warm("w"), "other")

    (failure, _), _ = claim(RUNTIME, elsewhere)
    assert failure.reason == "NoPodPool"


def test_an_empty_pool_is_waited_for_and_not_for_ever():
    def empty(api):
        api.put(POD_POOL, pool())

    (failure, pods), took_s = claim(RUNTIME, empty)
    assert failure.reason == "NoWarmPod"
    assert pods == []
    assert took_s == pytest.approx(FALLBACK_TIMEOUT_S, abs=1)


def test_an_image_needs_no_pool_and_its_pod_is_asked_often():
    (failure, pods), _ = claim("app", lambda api: None)
    assert failure.reason == "PodNotReady"
    assert [pod["spec"]["containers"][0]["image"] for pod in pods] == ["app"]
