"""What the API server needs of a store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

from hearth.store.core.mvcc import Entry, Event, Mvcc, Op


class StoreUnavailable(Exception):
    """The store cannot be opened, or cannot keep a write: the message says which file and why."""


class Backend(Protocol):
    """A store. Belongs to one event loop."""

    def get(self, key: str) -> Entry | None:
        """The newest value, possibly not yet durable: for a write that is based on it."""
        ...

    async def read(self, key: str) -> Entry | None:
        """The newest durable value."""
        ...

    async def scan(self, prefix: str) -> tuple[list[tuple[str, Entry]], int]:
        """All durable keys below ``prefix`` in order, and the revision they belong to."""
        ...

    async def write(self, ops: Sequence[Op]) -> list[Event]:
        """Apply all operations or none; returns once they are durable.

        Raises:
            KeyExists, Mismatch: an operation does not hold.
            StoreUnavailable: they could not be made durable, and have been undone.
        """
        ...

    def watch(self, prefix: str, after: int) -> AsyncIterator[list[Event]]:
        """Durable events after revision ``after``, in batches; an empty one when others passed.

        Raises:
            Compacted: some of them are no longer kept.
        """
        ...

    @property
    def revision(self) -> int:
        """Revision of the last durable write."""
        ...

    async def close(self) -> None:
        """Finish what is under way and let go of the files."""
        ...


class Watchers:
    """Wakes those who wait for events. One per backend."""

    def __init__(self, mvcc: Mvcc) -> None:
        self._mvcc = mvcc
        self._arrived = asyncio.Event()
        self._closed = False

    def publish(self, events: Sequence[Event]) -> None:
        """Make the events visible to all watchers."""
        self._mvcc.publish(events)
        self._wake()

    def close(self) -> None:
        """End all watches."""
        self._closed = True
        self._wake()

    async def watch(self, prefix: str, after: int) -> AsyncIterator[list[Event]]:
        """See :meth:`Backend.watch`."""
        seen = after
        while not self._closed:
            arrived = self._arrived
            events = self._mvcc.since(seen)
            if events:
                seen = events[-1].revision
                yield [event for event in events if event.key.startswith(prefix)]
            else:
                await arrived.wait()

    def _wake(self) -> None:
        arrived, self._arrived = self._arrived, asyncio.Event()
        arrived.set()


def open_store(path: Path | None) -> Backend:
    """Open the store in ``path`` (an SQLite file, made if absent), or one in memory for None.

    Raises:
        StoreUnavailable: the file is in use, unreadable, or of a newer version.
    """
    from hearth.store.memory import MemoryBackend
    from hearth.store.sqlite import SqliteBackend

    return MemoryBackend() if path is None else SqliteBackend(path)
