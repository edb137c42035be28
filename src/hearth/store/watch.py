"""Hands durable events to those who watch: each is woken only by what it asked for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from hearth.kit.memory import give_back
from hearth.store.core.mvcc import Compacted, Event, Mvcc

#: Events one watch may be behind before it is told to list again; a reader that is stuck must not
#: keep every later state of the store in memory.
BEHIND_MAX = 10_000
#: Events older than this are forgotten: whoever watches has had a bookmark since (every 60 s).
HISTORY_S = 75.0
HISTORY_MIN = 1000  #: events that are kept however old
_MARK_S = 5.0  #: between notes of which revisions were written when


class Watch:
    """The events below a prefix, from one revision on. Belongs to one event loop and one reader."""

    def __init__(self, watchers: Watchers, prefix: str, missed: list[Event], seen: int) -> None:
        self._watchers = watchers
        self._events = missed
        self._arrived: asyncio.Future[None] | None = None
        self._behind = False
        self.prefix = prefix
        self.revision = seen  #: everything up to here has been returned

    async def next(self, timeout_s: float | None = None) -> list[Event] | None:
        """The next events; an empty list after ``timeout_s`` without any, None when it is over.

        Raises:
            Compacted: the reader was too slow; list again.
        """
        if not self._events and not self._behind and not self._watchers.closed:
            await self._wait(timeout_s)
        if self._behind:
            raise Compacted(self.revision, self._watchers.revision, self._watchers.revision)
        if self._watchers.closed and not self._events:
            return None
        events, self._events = self._events, []
        self.revision = self._watchers.revision
        return events

    async def _wait(self, timeout_s: float | None) -> None:
        loop = asyncio.get_running_loop()
        self._arrived = loop.create_future()
        timer = loop.call_later(timeout_s, self.wake) if timeout_s is not None else None
        try:
            await self._arrived
        finally:
            self._arrived = None
            if timer is not None:
                timer.cancel()

    def offer(self, event: Event) -> None:
        """Take one event in, unless the reader is hopelessly behind."""
        if len(self._events) >= BEHIND_MAX:
            self._events.clear()
            self._behind = True
        if not self._behind:
            self._events.append(event)
        self.wake()

    def wake(self) -> None:
        """Let the reader look."""
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    def close(self) -> None:
        """Stop taking events in."""
        self._watchers.drop(self)


class Watchers:
    """All watches of one backend."""

    def __init__(self, mvcc: Mvcc, revision: int) -> None:
        self._mvcc = mvcc
        self._by_prefix: dict[str, set[Watch]] = {}
        self.revision = revision  #: of the last durable event
        self._marks: deque[tuple[float, int]] = deque()  #: when, and the last of the 5 s after it
        self._marked = revision
        self.closed = False

    def publish(self, events: Sequence[Event]) -> None:
        """Make durable events visible to all."""
        self._mvcc.publish(events)
        self.revision = events[-1].revision
        self._forget_old()
        for event in events:
            for prefix, watches in self._by_prefix.items():
                if event.key.startswith(prefix):
                    for watch in watches:
                        watch.offer(event)

    def _forget_old(self) -> None:
        now = asyncio.get_running_loop().time()
        since = self._marks.pop()[0] if self._marks else now
        if now - since >= _MARK_S:
            self._marks.append((since, self._marked))
            since = now
        self._marks.append((since, self.revision))
        self._marked = self.revision
        old = None
        while self._marks and now - self._marks[0][0] > HISTORY_S + _MARK_S:
            old = self._marks.popleft()[1]
        if old is not None and self._mvcc.forget(old, HISTORY_MIN):
            give_back()

    def watch(self, prefix: str, after: int) -> Watch:
        """See :meth:`Backend.watch`."""
        missed = [event for event in self._mvcc.since(after) if event.key.startswith(prefix)]
        watch = Watch(self, prefix, missed, after)
        self._by_prefix.setdefault(prefix, set()).add(watch)
        return watch

    def drop(self, watch: Watch) -> None:
        """Forget one watch."""
        watches = self._by_prefix.get(watch.prefix)
        if watches is not None:
            watches.discard(watch)
            if not watches:
                del self._by_prefix[watch.prefix]

    def close(self) -> None:
        """End all watches."""
        self.closed = True
        for watches in self._by_prefix.values():
            for watch in watches:
                watch.wake()
