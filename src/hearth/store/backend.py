"""What the API server needs of a store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hearth.store.core.mvcc import Entry, Event, Op
from hearth.store.watch import Watch


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

    async def scan(self, prefix: str, at: int | None = None) -> tuple[list[tuple[str, Entry]], int]:
        """All durable keys below ``prefix`` in order, and the revision they belong to.

        Args:
            prefix: of the keys.
            at: the revision to see them at; None: now.

        Raises:
            Compacted: what was at that revision is no longer known.
        """
        ...

    async def write(self, ops: Sequence[Op]) -> list[Event]:
        """Apply all operations or none; returns once they are durable.

        Raises:
            KeyExists, Mismatch: an operation does not hold.
            StoreUnavailable: they could not be made durable, and have been undone.
        """
        ...

    def watch(self, prefix: str, after: int) -> Watch:
        """Durable events after revision ``after``; close it when it is no longer read.

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
