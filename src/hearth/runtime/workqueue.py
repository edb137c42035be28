"""A queue of keys that deduplicates: a key waits at most once and is never worked on twice at once.

Source: client-go's ``util/workqueue``; the same guarantees.
"""

from __future__ import annotations

import asyncio
from collections import deque

from hearth.api.meta import ObjectKey
from hearth.kit.backoff import backoff_s
from hearth.runtime.instruments import QueueFigures


class WorkQueue:
    """Keys to reconcile. Belongs to one event loop."""

    def __init__(self) -> None:
        self._order: deque[ObjectKey] = deque()
        self._waiting: set[ObjectKey] = set()
        self._working: set[ObjectKey] = set()
        self._failures: dict[ObjectKey, int] = {}
        self._timers: dict[ObjectKey, asyncio.TimerHandle] = {}
        self._arrived = asyncio.Event()
        self.figures: QueueFigures | None = None  #: once it is worked on

    def __len__(self) -> int:
        """Keys that wait now, without those that are worked on or delayed."""
        return len(self._order)

    def add(self, key: ObjectKey) -> None:
        """Put the key in, unless it waits already; one that is worked on comes back after."""
        if key in self._waiting:
            return
        self._waiting.add(key)
        if key not in self._working:
            self._put(key)

    def add_after(self, key: ObjectKey, delay_s: float) -> None:
        """Put the key in after a while; of several delays for a key the earliest counts."""
        loop = asyncio.get_running_loop()
        due = loop.time() + delay_s
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= due:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(due, self._fire, key)

    def add_failed(self, key: ObjectKey) -> float:
        """Put the key in after its back-off; returns the seconds it will wait."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = backoff_s(failures)
        if self.figures is not None:
            self.figures.retried()
        self.add_after(key, delay)
        return delay

    def forget(self, key: ObjectKey) -> None:
        """The key succeeded: its next failure starts from the shortest back-off."""
        self._failures.pop(key, None)

    async def get(self) -> ObjectKey:
        """The next key; it stays marked as worked on until :meth:`done`."""
        while not self._order:
            self._arrived.clear()
            await self._arrived.wait()
        key = self._order.popleft()
        self._waiting.discard(key)
        self._working.add(key)
        if self.figures is not None:
            self.figures.taken(key)
        return key

    def done(self, key: ObjectKey) -> None:
        """Work on the key ended; if it was added meanwhile it is due again."""
        self._working.discard(key)
        if self.figures is not None:
            self.figures.done(key)
        if key in self._waiting:
            self._put(key)

    def close(self) -> None:
        """Drop all delayed keys."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _put(self, key: ObjectKey) -> None:
        self._order.append(key)
        self._arrived.set()
        if self.figures is not None:
            self.figures.added(key)

    def _fire(self, key: ObjectKey) -> None:
        del self._timers[key]
        self.add(key)
