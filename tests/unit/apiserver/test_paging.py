"""Long lists come in pages that show one moment."""

from __future__ import annotations

import json

import pytest

from hearth.api.errors import BadRequest, Gone
from hearth.api.kinds import CONFIG_MAP
from tests.unit.apiserver.running import run


async def put(api, *names):
    for name in names:
        meta = {"name": name, "namespace": "default", "labels": {"odd": str(int(name[1]) % 2)}}
        await api.client.create(CONFIG_MAP, {"metadata": meta, "data": {"v": "old"}})


async def page(api, **query):
    query = {name.rstrip("_"): str(value) for name, value in query.items()}
    path = "/api/v1/namespaces/default/configmaps"
    found = json.loads((await api.client.raw("GET", path, query=query)).body)
    return [item["metadata"]["name"] for item in found["items"]], found


def test_pages_show_every_object_once_as_it_was_at_first(tmp_path):
    async def story(api):
        await put(api, "c1", "c2", "c3", "c4", "c5")
        first, answer = await page(api, limit=2)
        assert first == ["c1", "c2"]
        assert answer["metadata"]["remainingItemCount"] == 3
        await api.client.delete(CONFIG_MAP, "default", "c3")
        await api.client.patch(CONFIG_MAP, "default", "c4", {"data": {"v": "new"}})
        await put(api, "c6")
        second, answer = await page(api, limit=2, continue_=answer["metadata"]["continue"])
        assert second == ["c3", "c4"]
        assert answer["items"][1]["data"] == {"v": "old"}
        third, last = await page(api, limit=2, continue_=answer["metadata"]["continue"])
        assert third == ["c5"]
        assert "continue" not in last["metadata"]
        assert last["metadata"]["resourceVersion"] == answer["metadata"]["resourceVersion"]

    run(tmp_path, story)


def test_pages_of_selected_objects(tmp_path):
    async def story(api):
        await put(api, "c1", "c2", "c3", "c4", "c5")
        first, answer = await page(api, limit=2, labelSelector="odd=1")
        assert first == ["c1", "c3"]
        assert "remainingItemCount" not in answer["metadata"]
        token = answer["metadata"]["continue"]
        assert (await page(api, limit=2, labelSelector="odd=1", continue_=token))[0] == ["c5"]

    run(tmp_path, story)


def test_what_is_no_longer_known_is_gone_and_rubbish_is_refused(tmp_path):
    async def story(api):
        await put(api, "c1", "c2")
        _, answer = await page(api, limit=1)
        await put(api, "c3")
        api.store._mvcc.forget(api.store.revision, 0)
        with pytest.raises(Gone, match="too old"):
            await page(api, limit=1, continue_=answer["metadata"]["continue"])
        with pytest.raises(BadRequest, match="continue key is not valid"):
            await page(api, continue_="rubbish")

    run(tmp_path, story)
