"""A store that lasts as long as the process."""

from __future__ import annotations

from collections.abc import Sequence

from hearth.store.backend import StoreUnavailable
from hearth.store.core.mvcc import Entry, Event, Mvcc, Op
from hearth.store.watch import Watch, Watchers


class MemoryBackend:
    """Keeps everything in memory; see :class:`~hearth.store.backend.Backend`."""

    def __init__(self) -> None:
        self._mvcc = Mvcc()
        self._watchers = Watchers(self._mvcc, 0)

    @property
    def revision(self) -> int:
        """Revision of the last write."""
        return self._mvcc.revision

    def get(self, key: str) -> Entry | None:
        """The newest value."""
        return self._mvcc.get(key)

    async def read(self, key: str) -> Entry | None:
        """The newest value."""
        return self._mvcc.get(key)

    async def scan(self, prefix: str, at: int | None = None) -> tuple[list[tuple[str, Entry]], int]:
        """All keys below ``prefix``, now or as they were at a revision."""
        found, revision = list(self._mvcc.scan(prefix)), self._mvcc.revision
        if at is None:
            return found, revision
        return self._mvcc.rewound(found, prefix, revision, at), at

    async def write(self, ops: Sequence[Op]) -> list[Event]:
        """Apply all operations or none."""
        if self._watchers.closed:
            raise StoreUnavailable("the store is closed")
        events = self._mvcc.write(ops)
        self._watchers.publish(events)
        return events

    def watch(self, prefix: str, after: int) -> Watch:
        """Events after revision ``after``."""
        return self._watchers.watch(prefix, after)

    async def close(self) -> None:
        """End all watches."""
        self._watchers.close()
