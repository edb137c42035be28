"""What a watch tells, and when."""

from __future__ import annotations

import asyncio

import pytest

from hearth.api.errors import BadRequest, Gone
from hearth.api.kinds import CONFIG_MAP, NAMESPACE, POD
from tests.unit.apiserver.running import Api, run
from tests.unit.apiserver.test_objects import config_map, pod
from tests.unit.virtual import run_virtual


async def told(api, kind=CONFIG_MAP, *, count, **options):
    """The first ``count`` events as (type, name)."""
    found = []
    async for event in api.client.watch(kind, **options):
        found.append((event.type, event.object["metadata"].get("name")))
        if len(found) == count:
            return found
    return found


def test_without_a_version_a_watch_begins_with_what_is_there(tmp_path):
    async def story(api):
        await api.client.create(CONFIG_MAP, config_map("a"))
        watching = asyncio.create_task(told(api, count=2))
        await asyncio.sleep(0)
        await api.client.create(CONFIG_MAP, config_map("b"))
        assert await watching == [("ADDED", "a"), ("ADDED", "b")]

    run(tmp_path, story)


def test_from_a_version_a_watch_tells_what_came_after(tmp_path):
    async def story(api):
        made = await api.client.create(CONFIG_MAP, config_map("a"))
        version = made["metadata"]["resourceVersion"]
        await api.client.patch(CONFIG_MAP, "default", "a", {"data": {"x": "y"}})
        await api.client.create(POD, pod("other-kind"))
        gone = await api.client.delete(CONFIG_MAP, "default", "a")
        events = []
        async for event in api.client.watch(CONFIG_MAP, resource_version=version):
            events.append(event)
            if event.type == "DELETED":
                break
        assert [event.type for event in events] == ["MODIFIED", "DELETED"]
        last = events[-1].object["metadata"]["resourceVersion"]
        assert last == gone["metadata"]["resourceVersion"]
        assert int(last) == api.store.revision

    run(tmp_path, story)


def test_an_object_enters_and_leaves_a_selection(tmp_path):
    async def story(api):
        await api.client.create(POD, pod("a"))
        options = {"resource_version": str(api.store.revision), "label_selector": "tier=web"}
        for labels in ({"tier": "web"}, {"tier": "web", "x": "y"}, {"tier": "db"}):
            await api.client.patch(POD, "default", "a", {"metadata": {"labels": labels}})
        assert await told(api, POD, count=3, **options) == [
            ("ADDED", "a"),
            ("MODIFIED", "a"),
            ("DELETED", "a"),
        ]

    run(tmp_path, story)


def test_a_watch_of_a_namespace_or_a_field_sees_nothing_else(tmp_path):
    async def story(api):
        start = str(api.store.revision)
        await api.client.create(POD, pod("a", "hearth-system"))
        await api.client.create(POD, pod("a"))
        await api.client.create(POD, pod("b"))
        options = {"resource_version": start, "field_selector": "metadata.name=b"}
        assert await told(api, POD, count=1, **options) == [("ADDED", "b")]
        found = await told(api, POD, count=1, namespace="hearth-system", resource_version=start)
        assert found == [("ADDED", "a")]

    run(tmp_path, story)


def test_a_version_that_is_not_kept_is_gone(tmp_path):
    async def story(api):
        with pytest.raises(Gone, match="too old resource version"):
            await told(api, count=1, resource_version="999999")

    run(tmp_path, story)


def test_a_version_that_is_no_number_is_refused(tmp_path):
    async def story(api):
        with pytest.raises(BadRequest, match="resourceVersion is 'abc'"):
            await told(api, count=1, resource_version="abc")

    run(tmp_path, story)


async def streamed(api, **query):
    answer = await api.client.raw("GET", CONFIG_MAP.path(), query={"watch": "true", **query})
    return answer.stream


def test_initial_events_end_with_a_bookmark_when_asked_for(tmp_path):
    async def story(api):
        await api.client.create(CONFIG_MAP, config_map("a"))
        stream = await streamed(api, sendInitialEvents="true", allowWatchBookmarks="true")
        first, second = await anext(stream), await anext(stream)
        assert b'"ADDED"' in first
        assert b'"k8s.io/initial-events-end":"true"' in second
        await stream.aclose()

    run(tmp_path, story)


def test_a_quiet_watch_sends_bookmarks_and_ends_in_time(tmp_path):
    async def story():
        api = Api(tmp_path)
        stream = await streamed(api, allowWatchBookmarks="true", timeoutSeconds="150")
        return [line async for line in stream]

    lines, took_s = run_virtual(story())
    assert took_s == 150
    assert len(lines) == 3
    assert all(b'"BOOKMARK"' in line for line in lines)


def test_a_busy_watch_that_selects_nothing_sends_bookmarks_too(tmp_path):
    """Else the client's version falls out of what is kept, and it must list again."""

    async def story():
        api = Api(tmp_path)
        await api.client.create(NAMESPACE, {"metadata": {"name": "default"}})

        async def write():
            for number in range(100):
                await api.client.create(CONFIG_MAP, config_map(f"c{number}"))
                await asyncio.sleep(1)

        writing = asyncio.create_task(write())
        stream = await streamed(
            api, allowWatchBookmarks="true", timeoutSeconds="90", labelSelector="none=here",
            resourceVersion="1",
        )  # fmt: skip
        lines = [line async for line in stream]
        writing.cancel()
        return lines

    lines, _ = run_virtual(story())
    assert len(lines) == 2
    assert all(b'"BOOKMARK"' in line for line in lines)
    assert b'"resourceVersion":"6' in lines[0]


def test_a_watch_that_is_left_is_forgotten(tmp_path):
    async def story(api):
        watching = asyncio.create_task(told(api, count=1))
        await asyncio.sleep(0)
        assert len(api.store._watchers._by_prefix) == 1
        watching.cancel()
        await asyncio.wait([watching])
        for _ in range(5):
            await asyncio.sleep(0)
        assert api.store._watchers._by_prefix == {}

    run(tmp_path, story)


def test_tables_are_watched_as_tables(tmp_path):
    async def story(api):
        await api.client.create(CONFIG_MAP, config_map("a", x="y"))
        headers = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
        path = CONFIG_MAP.path("default")
        for query in ({}, {"watch": "true"}):
            answer = await api.client.raw("GET", path, query=query, headers=headers)
            text = answer.body or await anext(answer.stream)
            assert b'"kind":"Table"' in text
            assert b'"cells":["a",1,"0s"]' in text
            if answer.stream:
                await answer.stream.aclose()

    run(tmp_path, story)


def test_all_tenants_are_watched_at_once(tmp_path):
    async def story(api):
        everyone = api.client_as("admin", tenant="*")
        await api.client.create(POD, pod("a"))
        await api.client.create(CONFIG_MAP, config_map("b"))
        async for event in everyone.watch(CONFIG_MAP):
            assert event.object["metadata"]["name"] == "b"
            assert event.object["metadata"]["annotations"]["hearth.dev/tenant"] == "root"
            break

    run(tmp_path, story)
