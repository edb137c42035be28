"""Adoption moves a warm pod into its revision's namespace: once, whole, with its identity."""

from __future__ import annotations

import asyncio

import pytest

from hearth.api.errors import AlreadyExists, BadRequest, Conflict, NotFound
from hearth.api.kinds import POD, POD_POOL
from tests.unit.apiserver.running import run
from tests.unit.apiserver.test_objects import pod, pool


async def warm(api, name="python-1"):
    owner = await api.client.create(POD_POOL, pool()) if name == "python-1" else (
        await api.client.get(POD_POOL, "hearth-system", "python")
    )  # fmt: skip
    meta = owner["metadata"]
    reference = {"apiVersion": "hearth.dev/v1alpha1", "kind": "PodPool", "name": "python",
                 "uid": meta["uid"], "controller": True}  # fmt: skip
    wire = pod(name, "hearth-system", labels={"hearth.dev/podpool": "python"},
               annotations={"kept": "yes"}, ownerReferences=[reference])  # fmt: skip
    return await api.client.create(POD, wire)


def wanted(namespace="default"):
    reference = {"apiVersion": "hearth.dev/v1alpha1", "kind": "PooledReplicaSet", "name": "r",
                 "uid": "r", "controller": True}  # fmt: skip
    return {
        "metadata": {
            "namespace": namespace,
            "labels": {"serving.knative.dev/revision": "r"},
            "annotations": {"hearth.dev/claimed-from": "python"},
            "ownerReferences": [reference],
        }
    }


async def adopt(api, body, name="python-1"):
    return await api.client.create(
        POD, body, namespace="hearth-system", name=name, subresource="adopt"
    )


def test_the_pod_keeps_name_and_uid_and_changes_namespace_labels_and_owner(tmp_path):
    async def story(api):
        before = await warm(api)
        after = await adopt(api, wanted())
        assert after == await api.client.get(POD, "default", "python-1")
        meta = after["metadata"]
        assert meta["uid"] == before["metadata"]["uid"]
        assert meta["labels"] == {"serving.knative.dev/revision": "r"}
        assert meta["annotations"] == {"kept": "yes", "hearth.dev/claimed-from": "python"}
        assert [reference["name"] for reference in meta["ownerReferences"]] == ["r"]
        with pytest.raises(NotFound):
            await api.client.get(POD, "hearth-system", "python-1")

    run(tmp_path, story)


def test_watchers_see_it_leave_and_appear_in_one_transaction(tmp_path):
    async def story(api):
        before = await warm(api)
        start = before["metadata"]["resourceVersion"]
        await adopt(api, wanted())
        seen = []
        async for event in api.client.watch(POD, resource_version=start):
            seen.append((event.type, event.object["metadata"]["namespace"]))
            if len(seen) == 2:
                break
        assert seen == [("DELETED", "hearth-system"), ("ADDED", "default")]
        assert api.store.revision == int(start) + 2

    run(tmp_path, story)


def test_of_many_who_want_it_one_gets_it(tmp_path):
    async def story(api):
        await warm(api)
        tries = (adopt(api, wanted()) for _ in range(5))
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
        assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 4

    run(tmp_path, story)


def test_it_can_be_adopted_within_its_own_namespace(tmp_path):
    async def story(api):
        await warm(api)
        after = await adopt(api, wanted("hearth-system"))
        assert after["metadata"]["labels"] == {"serving.knative.dev/revision": "r"}
        with pytest.raises(Conflict, match="belongs to PooledReplicaSet"):
            await adopt(api, wanted("hearth-system"))

    run(tmp_path, story)


@pytest.mark.parametrize("going", [True, False], ids=["going", "nobodys"])
def test_a_pod_that_is_going_or_not_a_pools_is_refused(tmp_path, going):
    async def story(api):
        await warm(api)
        if going:
            patch = {"metadata": {"finalizers": ["wait"]}}
            await api.client.patch(POD, "hearth-system", "python-1", patch)
            await api.client.delete(POD, "hearth-system", "python-1")
        else:
            patch = {"metadata": {"ownerReferences": None}}
            await api.client.patch(POD, "hearth-system", "python-1", patch)
        said = "is going" if going else "belongs to nobody"
        with pytest.raises(Conflict, match=said):
            await adopt(api, wanted())

    run(tmp_path, story)


def test_what_cannot_be_done_is_refused_and_the_pod_stays(tmp_path):
    async def story(api):
        await warm(api)
        with pytest.raises(NotFound, match='namespaces "shop" not found'):
            await adopt(api, wanted("shop"))
        with pytest.raises(BadRequest, match=r"metadata\.namespace is empty"):
            await adopt(api, {"metadata": {}})
        with pytest.raises(BadRequest):
            await adopt(api, [])
        await api.client.create(POD, pod("python-1"))
        with pytest.raises(AlreadyExists):
            await adopt(api, wanted())
        await api.client.get(POD, "hearth-system", "python-1")
        with pytest.raises(Conflict, match="is gone or has been adopted already"):
            await adopt(api, wanted(), "python-2")

    run(tmp_path, story)


def test_the_time_that_an_app_has_to_end_is_its_revisions_and_nothing_else_of_the_spec(tmp_path):
    async def story(api):
        before = await warm(api)
        spec = {"terminationGracePeriodSeconds": 300, "hostNetwork": True}
        after = await adopt(api, {**wanted(), "spec": spec})
        assert after["spec"] == {**before["spec"], "terminationGracePeriodSeconds": 300}

    run(tmp_path, story)


@pytest.mark.parametrize("seconds", [-1, "300", True, 1.5])
def test_a_time_to_end_that_is_none_is_refused(tmp_path, seconds):
    async def story(api):
        await warm(api)
        body = {**wanted(), "spec": {"terminationGracePeriodSeconds": seconds}}
        with pytest.raises(BadRequest, match="expected whole seconds"):
            await adopt(api, body)

    run(tmp_path, story)
