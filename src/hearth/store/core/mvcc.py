"""One counter, all keys: what a write does, what a reader sees, what a watcher is owed.

Theory. Every successful write of a key takes the next revision; a transaction takes consecutive
ones and is applied whole or not at all. The newest value of each key is the state; the last
``history_max`` events (up to twice as many) are the history. A watcher that has seen everything up
to revision *r* is owed exactly the events after *r*; if some of those are no longer kept, or *r*
has not been reached (it is another store's), it must list again (:class:`Compacted`). A write that
could not be made durable is undone in reverse order: nobody has been told of it yet.

Values are kept compressed once those who follow the store have had time to read them: objects are
text that says the same again and again, and most are looked at seldom.

Source: etcd's data model (etcd.io/docs, "Data model"), reduced to what the Kubernetes API needs.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

FRESH = 256  #: the newest events, whose values are not packed yet
_PACKED_PER_EVENT = 8  #: of the values that were there at the start, which are packed by and by
_PACK_MIN_BYTES = 400  #: below this little is gained
_LEVEL = 1  #: 30 us for 3 kB, a third is left; more effort takes off little


class Entry:
    """A key's newest value."""

    __slots__ = ("_is_packed", "_kept", "created", "modified")

    def __init__(self, value: bytes, created: int, modified: int) -> None:
        """Keep the value.

        Args:
            value: opaque.
            created: revision at which the key appeared.
            modified: revision of its last write.
        """
        self._kept = value
        self._is_packed = False
        self.created = created
        self.modified = modified

    @property
    def value(self) -> bytes:
        """As it was written."""
        return zlib.decompress(self._kept) if self._is_packed else self._kept

    def pack(self) -> None:
        """Keep the value in less memory; it takes 10 us to read then."""
        if not self._is_packed and len(self._kept) >= _PACK_MIN_BYTES:
            self._kept, self._is_packed = zlib.compress(self._kept, _LEVEL), True

    def __eq__(self, other: object) -> bool:
        """Whether both say the same, packed or not."""
        if not isinstance(other, Entry):
            return NotImplemented
        mine, others = (self.created, self.modified), (other.created, other.modified)
        return mine == others and self.value == other.value

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """For failing tests."""
        return f"Entry({self.value!r}, {self.created}, {self.modified})"


@dataclass(frozen=True, slots=True)
class Put:
    """Write a key.

    ``expect`` is the revision the key must be at: 0 for "must not exist", None for "whatever".
    """

    key: str
    value: bytes
    expect: int | None = None


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a key that must exist, at revision ``expect`` unless that is None."""

    key: str
    expect: int | None = None


Op: TypeAlias = Put | Remove


@dataclass(frozen=True, slots=True)
class Event:
    """One key was written (``new``) or removed (``new`` is None)."""

    revision: int
    key: str
    old: Entry | None
    new: Entry | None


class StoreError(Exception):
    """A write or read that the store refuses."""


class KeyExists(StoreError):
    """The key must not exist, and does."""


class Mismatch(StoreError):
    """The key is at another revision than expected; ``have`` is 0 when it does not exist."""

    def __init__(self, key: str, have: int, want: int | None) -> None:
        super().__init__(f"{key}: is at revision {have}, the write was based on {want}")
        self.have = have
        self.want = want


class Compacted(StoreError):
    """Events after that revision are not, or no longer, kept: list again."""

    def __init__(self, revision: int, oldest: int, newest: int) -> None:
        super().__init__(f"revision {revision}: kept are {oldest} to {newest}")


class Mvcc:
    """The state of a store and its recent history."""

    def __init__(
        self,
        entries: Iterable[tuple[str, Entry]] = (),
        *,
        revision: int = 0,
        history_max: int = 20_000,
    ) -> None:
        """Start from ``entries`` at ``revision``; nothing before that can be watched."""
        self._entries = dict(entries)
        self._keys = sorted(self._entries)
        self._unpacked = iter(list(self._entries.values()))
        self._history: list[Event] = []  # consecutive revisions
        self._history_max = history_max
        self._compacted = revision  #: events up to here are not kept
        self.revision = revision  #: of the last write

    def get(self, key: str) -> Entry | None:
        """The key's newest value."""
        return self._entries.get(key)

    def scan(self, prefix: str) -> Iterator[tuple[str, Entry]]:
        """All keys that start with ``prefix``, in order."""
        for number in range(bisect_left(self._keys, prefix), len(self._keys)):
            key = self._keys[number]
            if not key.startswith(prefix):
                return
            yield key, self._entries[key]

    def rewound(
        self, entries: Iterable[tuple[str, Entry]], prefix: str, now: int, revision: int
    ) -> list[tuple[str, Entry]]:
        """What ``entries``, all below ``prefix`` at revision ``now``, were at ``revision``.

        Raises:
            Compacted: that is too long ago to be known.
        """
        found = dict(entries)
        for event in reversed(self.since(revision)):
            if event.revision > now or not event.key.startswith(prefix):
                continue
            if event.old is None:
                found.pop(event.key, None)
            else:
                found[event.key] = event.old
        return sorted(found.items())

    def write(self, ops: Sequence[Op]) -> list[Event]:
        """Apply all of ``ops``, or none, and return their events.

        Raises:
            KeyExists, Mismatch: the first operation that does not hold.
        """
        for op in ops:
            self._check(op)
        return [self._apply(op) for op in ops]

    def undo(self, events: Sequence[Event]) -> None:
        """Take back writes that could not be kept; they must be the newest ones."""
        for event in reversed(events):
            assert event.revision == self.revision, "only the newest write can be undone"
            self._set(event.key, event.old)
            self.revision -= 1

    def publish(self, events: Sequence[Event]) -> None:
        """Make durable events part of the history, so that watchers may see them."""
        before = len(self._history)
        self._history.extend(events)
        for event in self._history[max(0, before - FRESH) : max(0, len(self._history) - FRESH)]:
            if event.new is not None:
                event.new.pack()
        for entry in islice(self._unpacked, len(events) * _PACKED_PER_EVENT):
            entry.pack()
        if len(self._history) > 2 * self._history_max:  # rarely, so that a cut costs little
            self._compacted = self._history[-self._history_max - 1].revision
            del self._history[: -self._history_max]

    def forget(self, revision: int, kept: int) -> bool:
        """Keep no events up to ``revision``, but the newest ``kept`` ones; whether any went."""
        count = min(revision - self._compacted, len(self._history) - kept)
        if count <= 0:
            return False
        self._compacted += count
        del self._history[:count]
        return True

    def since(self, revision: int) -> list[Event]:
        """The published events after ``revision``.

        Raises:
            Compacted: some of them are no longer kept, or there is no such revision yet.
        """
        if not self._compacted <= revision <= self.revision:
            raise Compacted(revision, self._compacted, self.revision)
        return self._history[revision - self._compacted :]

    def check(self) -> None:
        """Assert the invariants."""
        assert self._keys == sorted(self._entries)
        revisions = [event.revision for event in self._history]
        assert revisions == list(range(self._compacted + 1, self._compacted + 1 + len(revisions)))
        assert all(entry.modified <= self.revision for entry in self._entries.values())

    def _check(self, op: Op) -> None:
        entry = self._entries.get(op.key)
        have = entry.modified if entry else 0
        if isinstance(op, Put) and op.expect == 0 and entry is not None:
            raise KeyExists(op.key)
        if isinstance(op, Remove) and entry is None:
            raise Mismatch(op.key, 0, op.expect)
        if op.expect is not None and op.expect != have:
            raise Mismatch(op.key, have, op.expect)

    def _apply(self, op: Op) -> Event:
        old = self._entries.get(op.key)
        self.revision += 1
        new = None
        if isinstance(op, Put):
            new = Entry(op.value, old.created if old else self.revision, self.revision)
        self._set(op.key, new)
        return Event(self.revision, op.key, old, new)

    def _set(self, key: str, entry: Entry | None) -> None:
        if entry is None:
            del self._entries[key]
            del self._keys[bisect_left(self._keys, key)]
            return
        if key not in self._entries:
            insort(self._keys, key)
        self._entries[key] = entry
