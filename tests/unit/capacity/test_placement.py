"""Pods without a node get one, or are told why not, once, and are tried again when it may work."""

import asyncio

from hearth.api.errors import Conflict
from hearth.api.kinds import CORE_EVENT, NODE, POD
from hearth.api.meta import condition_of, spec_of
from hearth.capacity import Placement
from hearth.client import Client
from hearth.kit.clock import SystemClock
from hearth.runtime import EventRecorder, Informers
from tests.unit.fake_api import FakeApi
from tests.unit.virtual import run_virtual


def node(name, pods="10"):
    ready = [{"type": "Ready", "status": "True"}]
    status = {"conditions": ready, "allocatable": {"pods": pods}}
    return {"metadata": {"name": name}, "spec": {}, "status": status}


def pod(name):
    spec = {"containers": [{"name": "user-container", "image": "x"}]}
    return {"metadata": {"name": name}, "spec": spec}


def placed(api):
    return {p["metadata"]["name"]: spec_of(p).get("nodeName") for p in api.all(POD)}


def run(story, *nodes):
    """Run the story beside a Placement that knows the nodes."""

    async def told():
        api = FakeApi()
        for each in nodes:
            api.put(NODE, each)
        client = Client(api)
        informers, events = Informers(client), EventRecorder(client, "test")
        placement = Placement(client, informers, SystemClock(), events)
        parts = [informers.run, events.run, *(part.run for part in placement.parts())]
        tasks = [asyncio.create_task(part()) for part in parts]
        await asyncio.sleep(1)
        try:
            return await story(api)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    return run_virtual(told())[0]


def test_pods_made_at_once_are_spread_and_no_node_is_overfilled():
    async def story(api):
        for number in range(5):
            api.put(POD, pod(f"p{number}"))
        await asyncio.sleep(1)
        return sorted(str(name) for name in placed(api).values())

    assert run(story, node("a", pods="2"), node("b", pods="2")) == ["None", "a", "a", "b", "b"]


def test_a_pod_that_fits_nowhere_is_told_once_and_placed_when_a_node_comes():
    async def story(api):
        api.put(POD, pod("p"))
        await asyncio.sleep(1)
        said = condition_of(api.get(POD, "p"), "PodScheduled")
        api.put(NODE, node("b", pods="0"))
        api.put(NODE, {**node("c"), "metadata": {"name": "c"}})
        await asyncio.sleep(1)
        events = [event["reason"] for event in api.all(CORE_EVENT)]
        writes = [path for _, path in api.writes if path.endswith("status")]
        return said, writes, placed(api), events

    said, writes, where, events = run(story)
    assert set(events) == {"FailedScheduling"}
    assert (said["status"], said["reason"]) == ("False", "Unschedulable")
    assert said["message"] == "no nodes available to schedule pods"
    assert len(writes) <= 2  # at most once for each reason
    assert where == {"p": "c"}


def test_a_pod_waits_for_room_without_writing_and_takes_it():
    async def story(api):
        api.put(POD, pod("first"))
        await asyncio.sleep(1)
        api.put(POD, pod("second"))
        await asyncio.sleep(1)
        before = len(api.writes)
        for number in range(5):  # heartbeats
            api.set_status(NODE, "a", {"beat": number}, namespace="")
            await asyncio.sleep(10)
        quiet = len(api.writes) == before
        api.remove(POD, "first")
        await asyncio.sleep(1)
        return quiet, placed(api)

    assert run(story, node("a", pods="1")) == (True, {"second": "a"})


def test_a_binding_that_conflicts_is_tried_again():
    async def story(api):
        path = "/clusters/root/api/v1/namespaces/default/pods/p/binding"
        api.refuse["POST", path] = Conflict("someone wrote first")
        api.put(POD, pod("p"))
        await asyncio.sleep(0.1)
        refused = placed(api)
        del api.refuse["POST", path]
        await asyncio.sleep(5)
        return refused, placed(api)

    assert run(story, node("a")) == ({"p": None}, {"p": "a"})


def test_a_pod_that_wants_another_beside_it_is_placed_when_that_one_is():
    async def story(api):
        term = {"topologyKey": "host", "labelSelector": {"matchLabels": {"app": "db"}}}
        rule = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
        wanting = pod("web")
        wanting["spec"]["affinity"] = {"podAffinity": rule}
        api.put(POD, wanting)
        await asyncio.sleep(1)
        before = placed(api)
        friend = pod("db")
        friend["metadata"]["labels"] = {"app": "db"}
        api.put(POD, friend)
        await asyncio.sleep(1)
        return before["web"], placed(api)["web"]

    there = node("a")
    there["metadata"]["labels"] = {"host": "a"}
    assert run(story, there) == (None, "a")
