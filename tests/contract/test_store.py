"""All stores behave alike."""

from __future__ import annotations

import asyncio

import pytest

from hearth.store import (
    Compacted,
    KeyExists,
    Mismatch,
    Put,
    Remove,
    StoreUnavailable,
    open_store,
)
from hearth.store.watch import BEHIND_MAX


@pytest.fixture(params=["memory", "sqlite"])
def run(request, tmp_path):
    """Run a story with a fresh store, and close it."""

    def run(story):
        async def whole():
            store = open_store(tmp_path / "store.db" if request.param == "sqlite" else None)
            try:
                return await story(store)
            finally:
                await store.close()

        return asyncio.run(whole())

    return run


def test_what_was_written_is_read_at_its_revision(run):
    async def story(store):
        [event] = await store.write([Put("/a", b"1", expect=0)])
        entry = await store.read("/a")
        assert (entry.value, entry.modified, event.revision, store.revision) == (b"1", 1, 1, 1)
        assert store.get("/a") == entry
        assert await store.read("/b") is None

    run(story)


def test_of_two_writers_on_the_same_revision_one_wins(run):
    async def story(store):
        await store.write([Put("/a", b"0", expect=0)])
        writes = (store.write([Put("/a", str(n).encode(), expect=1)]) for n in range(5))
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        assert sum(isinstance(outcome, Mismatch) for outcome in outcomes) == 4

    run(story)


def test_an_existing_key_is_not_created_again(run):
    async def story(store):
        await store.write([Put("/a", b"", expect=0)])
        with pytest.raises(KeyExists):
            await store.write([Put("/a", b"", expect=0)])

    run(story)


def test_a_transaction_is_done_whole_or_not_at_all(run):
    async def story(store):
        await store.write([Put("/one/a", b"x")])
        with pytest.raises(KeyExists):
            await store.write([Remove("/one/a"), Put("/one/b", b""), Put("/one/a", b"", expect=0)])
        assert [key for key, _ in (await store.scan("/one/"))[0]] == ["/one/a"]
        events = await store.write([Remove("/one/a", 1), Put("/two/a", b"x", expect=0)])
        assert [event.revision for event in events] == [2, 3]
        assert await store.scan("/one/") == ([], 3)

    run(story)


def test_a_scan_is_ordered_and_says_which_revision_it_shows(run):
    async def story(store):
        for key in ("/p/b", "/p/a", "/q/c"):
            await store.write([Put(key, b"")])
        found, revision = await store.scan("/p/")
        assert ([key for key, _ in found], revision) == (["/p/a", "/p/b"], 3)

    run(story)


def test_a_watch_gets_every_event_of_its_prefix_once_and_in_order(run):
    async def story(store):
        await store.write([Put("/p/a", b"")])
        watch = store.watch("/p/", 0)
        await asyncio.gather(*(store.write([Put(f"/p/{n}", b"")]) for n in range(10)))
        await store.write([Put("/q/a", b""), Remove("/p/a")])
        seen = []
        while watch.revision < store.revision:
            seen += await watch.next()
        assert [event.revision for event in seen] == [*range(1, 12), 13]
        watch.close()

    run(story)


def test_a_tenants_watch_never_sees_another_tenant(run):
    async def story(store):
        watch = store.watch("/registry/acme/", 0)
        await store.write([Put("/registry/acme/core/pods/d/a", b"")])
        await store.write([Put("/registry/acme2/core/pods/d/b", b"")])
        await store.write([Put("/registry/globex/core/pods/d/b", b"")])
        assert [event.key for event in await watch.next()] == ["/registry/acme/core/pods/d/a"]
        assert await watch.next(0) == []
        assert watch.revision == 3  # others passed: a bookmark may say so

    run(story)


def test_a_watch_that_waits_is_woken_by_its_event(run):
    async def story(store):
        watch = store.watch("/p/", 0)
        waiting = asyncio.create_task(watch.next(60))
        await asyncio.sleep(0)
        await store.write([Put("/p/a", b"")])
        assert [event.key for event in await waiting] == ["/p/a"]

    run(story)


def test_a_watch_from_a_revision_that_does_not_exist_is_refused(run):
    async def story(store):
        with pytest.raises(Compacted):
            store.watch("/", 5)

    run(story)


def test_a_reader_that_is_stuck_is_told_to_list_again(run):
    async def story(store):
        watch = store.watch("/p/", 0)
        await store.write([Put("/p/a", b"") for _ in range(BEHIND_MAX + 1)])
        with pytest.raises(Compacted):
            await watch.next()

    run(story)


def test_closing_ends_watches_and_refuses_writes(run):
    async def story(store):
        watch = store.watch("/p/", 0)
        waiting = asyncio.create_task(watch.next())
        await asyncio.sleep(0)
        await store.close()
        assert await waiting is None
        with pytest.raises(StoreUnavailable):
            await store.write([Put("/p/a", b"")])

    run(story)


def test_what_was_there_at_an_earlier_revision_can_be_seen(run):
    async def story(store):
        await store.write([Put("/x/a", b"1"), Put("/x/b", b"1"), Put("/y/a", b"1")])
        await store.write([Put("/x/a", b"2"), Remove("/x/b"), Put("/x/c", b"2"), Put("/y/b", b"2")])
        await store.write([Put("/x/a", b"3")])
        entries, revision = await store.scan("/x/", at=3)
        assert [(key, entry.value) for key, entry in entries] == [("/x/a", b"1"), ("/x/b", b"1")]
        assert (revision, entries[0][1].modified) == (3, 1)
        assert [key for key, _ in (await store.scan("/x/", at=7))[0]] == ["/x/a", "/x/c"]
        with pytest.raises(Compacted):
            await store.scan("/x/", at=99)

    run(story)
