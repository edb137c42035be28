"""A store in one SQLite file: read from memory, written in groups, acknowledged when durable.

The whole state is in memory; the file is its durable copy. Writes that arrive while a commit is
under way wait for the next one and share its fsync. The commit runs in a thread of its own, so the
event loop never waits for the disk. A commit that fails (a full disk) takes its writes back, in the
file and in memory, and whoever waited for them is told; later writes are tried anew. History is not
kept in the file: after a restart a watch from an older revision is told to list again.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hearth.store import instruments
from hearth.store.backend import StoreUnavailable
from hearth.store.core.mvcc import Entry, Event, Mvcc, Op
from hearth.store.watch import Watch, Watchers

SCHEMA_VERSION = 1
#: Writes beyond this are refused, as by etcd's quota, whose default this is: everything is in
#: memory too.
SIZE_MAX_BYTES = 2 * 2**30
_SCHEMA = """
CREATE TABLE objects (key TEXT PRIMARY KEY, value BLOB NOT NULL,
                      created INTEGER NOT NULL, modified INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE counter (revision INTEGER NOT NULL);
INSERT INTO counter VALUES (0);
"""
_PUT = "INSERT OR REPLACE INTO objects (key, value, created, modified) VALUES (?, ?, ?, ?)"


@dataclass(slots=True)
class _Waiting:
    """One write in memory that waits to be durable."""

    events: list[Event]
    done: asyncio.Future[None]


class SqliteBackend:
    """Keeps everything in ``path``; see :class:`~hearth.store.backend.Backend`."""

    def __init__(self, path: Path, *, size_max_bytes: int = SIZE_MAX_BYTES) -> None:
        """Open or make the file and read it.

        Raises:
            StoreUnavailable: in use by another process, unreadable, or of a newer version.
        """
        self._path = path
        self._lock = _lock(path.with_suffix(".lock"))
        try:
            self._database = _open(path, size_max_bytes)
            entries, revision = _load(self._database)
        except (sqlite3.Error, OSError) as error:
            os.close(self._lock)
            raise StoreUnavailable(f"state {path}: cannot be read: {error}") from error
        except StoreUnavailable:
            os.close(self._lock)
            raise
        self._mvcc = Mvcc(entries, revision=revision)
        self._watchers = Watchers(self._mvcc, revision)
        self._durable = revision
        self._waiting: list[_Waiting] = []
        self._committing: asyncio.Task[None] | None = None
        self._ended: asyncio.Future[None] = asyncio.Future()  # of the commit under way
        self._undone = 0  # commits that failed
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")

    @property
    def revision(self) -> int:
        """Revision of the last durable write."""
        return self._durable

    def get(self, key: str) -> Entry | None:
        """The newest value, possibly not yet durable."""
        return self._mvcc.get(key)

    async def read(self, key: str) -> Entry | None:
        """The newest value, once it is durable."""
        while True:
            entry = self._mvcc.get(key)
            if await self._kept(entry.modified if entry is not None else self._mvcc.revision):
                return entry

    async def scan(self, prefix: str, at: int | None = None) -> tuple[list[tuple[str, Entry]], int]:
        """All keys below ``prefix`` as they are now, or were, once that is durable."""
        while True:
            found, revision = list(self._mvcc.scan(prefix)), self._mvcc.revision
            if not await self._kept(revision):
                continue
            if at is None:
                return found, revision
            return self._mvcc.rewound(found, prefix, revision, at), at

    async def write(self, ops: Sequence[Op]) -> list[Event]:
        """Apply all operations or none; returns once they are on disk."""
        if self._watchers.closed:
            raise StoreUnavailable(f"state {self._path}: is closed")
        events = self._mvcc.write(ops)
        waiting = _Waiting(events, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all(), name="store commit")
        await asyncio.shield(waiting.done)
        return events

    def watch(self, prefix: str, after: int) -> Watch:
        """Durable events after revision ``after``."""
        return self._watchers.watch(prefix, after)

    async def close(self) -> None:
        """Finish what is under way and let go of the file."""
        if self._watchers.closed:
            return
        self._watchers.close()
        if self._committing is not None:
            await self._committing
        self._thread.shutdown()
        self._database.close()
        os.close(self._lock)

    async def _kept(self, revision: int) -> bool:
        """Wait until the revision is durable; False if it was taken back instead."""
        undone = self._undone
        while self._durable < revision and self._undone == undone:
            await asyncio.shield(self._ended)
        return self._undone == undone

    async def _commit_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                try:
                    await self._commit_batch(batch)
                finally:
                    self._ended.set_result(None)
                    self._ended = asyncio.Future()
        finally:
            self._committing = None

    async def _commit_batch(self, batch: list[_Waiting]) -> None:
        events = [event for waiting in batch for event in waiting.events]
        started = time.monotonic()
        try:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._thread, self._commit, events)
        except (sqlite3.Error, OSError) as error:
            self._undo(batch, str(error))
        except BaseException:
            self._undo(batch, "the commit broke off")
            raise
        else:
            instruments.COMMITTED.inc()
            instruments.COMMIT_SECONDS.observe(time.monotonic() - started)
            instruments.WRITES.inc(len(events))
            self._durable = events[-1].revision
            self._watchers.publish(events)
            for waiting in batch:
                waiting.done.set_result(None)

    def _undo(self, batch: list[_Waiting], why: str) -> None:
        """Take back the batch and what was written on top of it meanwhile."""
        instruments.TAKEN_BACK.inc()
        lost = [*batch, *self._waiting]
        self._waiting = []
        self._undone += 1
        for waiting in reversed(lost):
            self._mvcc.undo(waiting.events)
            waiting.done.set_exception(
                StoreUnavailable(f"state {self._path}: the write was not kept: {why}")
            )
            waiting.done.exception()  # seen: who asked may have left

    def _commit(self, events: list[Event]) -> None:
        """Write the events in one transaction. Runs in the store's thread."""
        try:
            self._database.execute("BEGIN IMMEDIATE")
            for event in events:
                if event.new is None:
                    self._database.execute("DELETE FROM objects WHERE key = ?", (event.key,))
                else:
                    new = event.new
                    self._database.execute(_PUT, (event.key, new.value, new.created, new.modified))
            self._database.execute("UPDATE counter SET revision = ?", (events[-1].revision,))
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise


def _lock(path: Path) -> int:
    """Hold the lock file for the life of the process; it names the holder's pid."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnavailable(f"state {path.parent}: cannot be used: {error}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 32).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise StoreUnavailable(
            f"state {path.parent}: is in use by process {holder}; end it or use another directory"
        ) from None
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
    except OSError as error:
        os.close(lock)
        raise StoreUnavailable(f"state {path.parent}: cannot be used: {error}") from error
    return lock


def _open(path: Path, size_max_bytes: int) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # its mode from the start
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        _prepare(database, path, size_max_bytes)
    except BaseException:
        database.close()
        raise
    return database


def _prepare(database: sqlite3.Connection, path: Path, size_max_bytes: int) -> None:
    [[version]] = database.execute("PRAGMA user_version")
    if version > SCHEMA_VERSION:
        raise StoreUnavailable(
            f"state {path}: has version {version}, this program knows {SCHEMA_VERSION} and older; "
            "use the newer program or another directory"
        )
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    [[page_bytes]] = database.execute("PRAGMA page_size")
    database.execute(f"PRAGMA max_page_count = {size_max_bytes // page_bytes}")
    if version == 0:
        database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")


def _load(database: sqlite3.Connection) -> tuple[list[tuple[str, Entry]], int]:
    [[revision]] = database.execute("SELECT revision FROM counter")
    rows = database.execute("SELECT key, value, created, modified FROM objects")
    return [
        (key, Entry(value, created, modified)) for key, value, created, modified in rows
    ], revision
