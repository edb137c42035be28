"""The file: what survives, who may open it, and what happens when it cannot be written."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys

import pytest

from hearth.store import Compacted, Put, Remove, StoreUnavailable, open_store
from hearth.store.sqlite import SqliteBackend


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.db"


def session(path, story, **options):
    async def whole():
        store = SqliteBackend(path, **options)
        try:
            return await story(store)
        finally:
            await store.close()

    return asyncio.run(whole())


async def write_three(store):
    await store.write([Put("/a", b"1"), Put("/b", b"2")])
    await store.write([Remove("/a")])


def test_state_and_counter_survive(path):
    session(path, write_three)

    async def story(store):
        found, revision = await store.scan("/")
        assert [(key, entry.value, entry.modified) for key, entry in found] == [("/b", b"2", 2)]
        assert revision == 3
        [event] = await store.write([Put("/c", b"3")])
        assert event.revision == 4

    session(path, story)


def test_a_watch_from_before_the_restart_is_told_to_list_again(path):
    session(path, write_three)

    async def story(store):
        with pytest.raises(Compacted):
            store.watch("/", 2)
        assert await store.watch("/", 3).next(0) == []

    session(path, story)


def test_the_file_is_its_owners_only(path):
    session(path, write_three)
    assert [f.name for f in path.parent.iterdir() if f.stat().st_mode & 0o077] == []


def test_a_second_process_is_told_who_holds_the_state(path):
    async def story(store):
        code = f"from pathlib import Path; from hearth.store import open_store; " \
               f"open_store(Path({str(path)!r}))"  # fmt: skip
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True
        )
        assert f"is in use by process {os.getpid()}" in done.stderr
        await store.write([Put("/a", b"")])

    session(path, story)


def test_the_lock_goes_with_its_holder(path):
    session(path, write_three)
    session(path, write_three)


def test_a_newer_version_is_refused_untouched(path):
    session(path, write_three)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 9999")
    database.close()
    before = path.read_bytes()
    with pytest.raises(StoreUnavailable, match="has version 9999, this program knows 1"):
        open_store(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [pytest.param(b"not a database at all" * 100, id="other"), pytest.param(None, id="damaged")],
)
def test_a_file_that_is_no_store_is_refused_by_name(path, content):
    if content is None:
        session(path, write_three)
        whole = bytearray(path.read_bytes())
        whole[4096:] = b"\xff" * (len(whole) - 4096)
        content = bytes(whole)
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match="cannot be read") as refused:
        open_store(path)
    assert str(path) in str(refused.value)
    assert path.read_bytes() == content


def test_a_directory_in_place_of_the_file_is_refused(path):
    path.mkdir()
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        open_store(path)


def test_a_file_in_place_of_the_directory_is_refused(tmp_path):
    (tmp_path / "state").write_text("")
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        open_store(tmp_path / "state" / "store.db")


def test_a_full_disk_refuses_the_write_and_later_ones_work_again(path):
    async def story(store):
        await store.write([Put("/small", b"1")])
        with pytest.raises(StoreUnavailable, match="was not kept: database or disk is full"):
            await store.write([Put("/big", b"x" * 200_000)])
        assert store.get("/big") is None
        assert await store.read("/big") is None
        [event] = await store.write([Put("/small", b"2", expect=1)])
        assert event.revision == 2

    session(path, story, size_max_bytes=100_000)

    async def again(store):
        assert (store.get("/small").value, store.get("/big"), store.revision) == (b"2", None, 2)

    session(path, again)


def test_writes_on_top_of_a_refused_one_are_refused_with_it(path):
    async def story(store):
        await store.write([Put("/a", b"1")])
        big = [store.write([Put("/a", b"x" * 200_000)]) for _ in range(2)]
        first, second = await asyncio.gather(*big, return_exceptions=True)
        assert isinstance(first, StoreUnavailable)
        assert isinstance(second, StoreUnavailable)
        assert (store.get("/a").value, store.revision) == (b"1", 1)

    session(path, story, size_max_bytes=100_000)


def test_a_watcher_never_sees_what_was_not_kept(path):
    async def story(store):
        watch = store.watch("/", 0)
        with pytest.raises(StoreUnavailable):
            await store.write([Put("/big", b"x" * 200_000)])
        await store.write([Put("/small", b"")])
        assert [(event.key, event.revision) for event in await watch.next()] == [("/small", 1)]

    session(path, story, size_max_bytes=100_000)


def test_a_writer_that_leaves_does_not_take_its_write_with_it(path):
    async def story(store):
        leaving = asyncio.create_task(store.write([Put("/a", b"1")]))
        await asyncio.sleep(0)
        leaving.cancel()
        await store.write([Put("/b", b"2")])
        assert (await store.read("/a")).value == b"1"

    session(path, story)


def test_a_read_waits_until_what_it_shows_is_kept(path):
    async def story(store):
        writing = asyncio.create_task(store.write([Put("/a", b"1")]))
        await asyncio.sleep(0)
        assert store.get("/a").value == b"1"
        assert store.revision == 0
        assert (await store.read("/a")).value == b"1"
        assert store.revision == 1
        await writing

    session(path, story)


def test_readers_do_not_wait_for_writers_who_never_stop(path):
    async def story(store):
        async def write(number):
            while True:
                await store.write([Put(f"/{number}", b"")])

        writing = [asyncio.create_task(write(number)) for number in range(5)]
        async with asyncio.timeout(10):
            for _ in range(20):
                found, revision = await store.scan("/")
                assert all(entry.modified <= revision <= store.revision for _, entry in found)
                await store.read("/absent")
        for task in writing:
            task.cancel()
        await asyncio.wait(writing)

    session(path, story)


def test_what_was_acknowledged_is_there_after_kill_9(path):
    code = (
        "import asyncio, pathlib, sys\n"
        "from hearth.store import Put, open_store\n"
        "async def main():\n"
        f"    store = open_store(pathlib.Path({str(path)!r}))\n"
        "    for number in range(10**6):\n"
        "        await store.write([Put(f'/{number}', b'x' * 100)])\n"
        "        print(number, flush=True)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        acknowledged = [int(process.stdout.readline()) for _ in range(50)]
        process.kill()
        acknowledged += [int(line) for line in process.stdout if line.endswith(b"\n")]

    async def story(store):
        found = {key for key, _ in (await store.scan("/"))[0]}
        assert {f"/{number}" for number in acknowledged} <= found
        assert store.revision == len(found)

    session(path, story)
