"""What goes by itself after a while, in order of its time."""

from __future__ import annotations

from heapq import heappop, heappush


class Expiry:
    """Keys and the time at which each is to go; a key put in again lives longer."""

    def __init__(self) -> None:
        self._due_s: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def put(self, key: str, due_s: float) -> None:
        """The key goes at that time."""
        self._due_s[key] = due_s
        heappush(self._heap, (due_s, key))

    def remove(self, key: str) -> None:
        """The key is gone already."""
        self._due_s.pop(key, None)

    def next_s(self) -> float | None:
        """When the next key goes, or None."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now_s: float) -> list[str]:
        """The keys whose time has come; they are forgotten."""
        due = []
        while (at_s := self.next_s()) is not None and at_s <= now_s:
            _, key = heappop(self._heap)
            del self._due_s[key]
            due.append(key)
        return due

    def _drop_stale(self) -> None:
        while self._heap and self._due_s.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
