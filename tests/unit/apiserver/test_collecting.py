"""Nothing outlives its owners, its namespace or its time."""

from __future__ import annotations

import pytest

from hearth.api.errors import NotFound
from hearth.api.kinds import CONFIG_MAP, CORE_EVENT, NAMESPACE, POD, SERVICE_ACCOUNT
from tests.unit.apiserver.running import run
from tests.unit.apiserver.test_objects import config_map, pod


def reference(owner, **more):
    meta = owner["metadata"]
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": meta["name"], "uid": meta["uid"],
            "blockOwnerDeletion": True, **more}  # fmt: skip


async def family(api):
    owner = await api.client.create(CONFIG_MAP, config_map("owner"))
    for name in ("a", "b"):
        child = await api.client.create(POD, pod(name, ownerReferences=[reference(owner)]))
    grandchild = config_map("grandchild")
    grandchild["metadata"]["ownerReferences"] = [reference(child, kind="Pod")]
    await api.client.create(CONFIG_MAP, grandchild)


async def left(api):
    found = [*(await api.client.list(CONFIG_MAP)).items, *(await api.client.list(POD)).items]
    return sorted(wire["metadata"]["name"] for wire in found)


@pytest.mark.parametrize("how", ["Background", "Foreground"])
def test_a_family_goes_with_its_head(tmp_path, how):
    async def story(api):
        await family(api)
        await api.client.delete(CONFIG_MAP, "default", "owner", propagation=how)
        await api.settle()
        assert await left(api) == []

    run(tmp_path, story, collect=True)


def test_foreground_keeps_the_head_until_the_last(tmp_path):
    async def story(api):
        await family(api)
        patch = {"metadata": {"finalizers": ["slow"]}}
        await api.client.patch(POD, "default", "a", patch)
        await api.client.delete(CONFIG_MAP, "default", "owner", propagation="Foreground")
        await api.settle()
        assert await left(api) == ["a", "owner"]
        await api.client.patch(POD, "default", "a", {"metadata": {"finalizers": None}})
        await api.settle()
        assert await left(api) == []

    run(tmp_path, story, collect=True)


def test_orphans_stay_and_forget_their_owner(tmp_path):
    async def story(api):
        await family(api)
        await api.client.delete(CONFIG_MAP, "default", "owner", propagation="Orphan")
        await api.settle()
        assert await left(api) == ["a", "b", "grandchild"]
        assert "ownerReferences" not in (await api.client.get(POD, "default", "a"))["metadata"]

    run(tmp_path, story, collect=True)


def test_what_was_ownerless_before_the_start_goes_too(tmp_path):
    async def story(api):
        await family(api)
        await api.client.delete(CONFIG_MAP, "default", "owner")
        assert len(await left(api)) == 3
        collecting = asyncio.create_task(api.collector.run())
        await api.settle()
        assert await left(api) == []
        collecting.cancel()

    import asyncio

    run(tmp_path, story)


def test_a_namespace_has_a_service_account_and_goes_when_it_is_empty(tmp_path):
    async def story(api):
        await api.client.create(NAMESPACE, {"metadata": {"name": "shop"}})
        await api.settle()
        await api.client.get(SERVICE_ACCOUNT, "shop", "default")
        for number in range(200):
            await api.client.create(POD, pod(f"p{number}", "shop"))
        await api.client.create(POD, pod("slow", "shop", finalizers=["wait"]))
        going = await api.client.delete(NAMESPACE, "", "shop")
        assert going["status"]["phase"] == "Terminating"
        await api.settle()
        assert len((await api.client.list(POD, "shop")).items) == 1
        await api.client.patch(POD, "shop", "slow", {"metadata": {"finalizers": None}})
        await api.settle()
        with pytest.raises(NotFound):
            await api.client.get(NAMESPACE, "", "shop")
        assert (await api.client.list(SERVICE_ACCOUNT, "shop")).items == []

    run(tmp_path, story, collect=True)


def event(name, **times):
    about = {"kind": "Pod", "name": "p", "namespace": "default"}
    meta = {"name": name, "namespace": "default"}
    return {"metadata": meta, "involvedObject": about, **times}


def test_events_go_an_hour_after_they_were_last_written(tmp_path):
    async def story(api):
        await api.client.create(CORE_EVENT, event("old"))
        await api.client.create(CORE_EVENT, event("odd", lastTimestamp="yesterday"))
        api.clock.forward(1800)
        last = {"lastTimestamp": "2026-01-01T00:30:00Z"}
        await api.client.create(CORE_EVENT, event("new", **last))
        api.clock.forward(1801)
        await api.client.create(CONFIG_MAP, config_map())  # time stands still: something happens
        await api.settle()
        found = await api.client.list(CORE_EVENT)
        assert [wire["metadata"]["name"] for wire in found.items] == ["new"]

    run(tmp_path, story, collect=True)
