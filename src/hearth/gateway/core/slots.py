"""Who may run where: the slots of revisions with a containerConcurrency. Pure.

An instance has ``limit`` slots. A stream (one try of one request, under a name that Envoy gave it)
takes one before it is sent on, and has it until Envoy says that the stream has ended, however it
did. That word may come before the stream asks: its client had left already. Streams that ended
unknown are therefore remembered for a while.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

QUEUED_PER_SLOT = 10  #: Knative's queue-proxy: requests that wait for an instance, per slot
EARLY_MAX = (
    10_000  #: streams that ended unknown; Envoy's word is ahead of its question by far fewer
)


@dataclass(slots=True)
class Instance:
    """One instance of a revision."""

    streams: set[str] = field(default_factory=set)
    inherited: int = 0  #: streams that an earlier companion let go, whose names we do not know
    known: bool = False  #: it is there, as far as its pod says
    promised: bool = False  #: it answers, though its pod does not say so yet
    doubted: bool = False  #: it refused or ended a stream a moment ago

    @property
    def taken(self) -> int:
        """Slots that are not free."""
        return len(self.streams) + self.inherited


@dataclass(slots=True)
class Slots:
    """The slots of one revision."""

    limit: int  #: streams at once in one instance, >= 1
    instances: dict[str, Instance] = field(default_factory=dict)  #: by address

    @property
    def open(self) -> list[str]:
        """The instances that streams may be sent to, full or not."""
        return [address for address, each in self.instances.items() if _is_open(each)]

    @property
    def taken(self) -> int:
        """Streams that have a slot."""
        return sum(each.taken for each in self.instances.values())

    def take(self, stream: str) -> str | None:
        """Give a slot of the least used instance; returns its address, None if all are full."""
        best: tuple[str, Instance] | None = None
        for address, each in self.instances.items():
            fits = each.taken < self.limit and _is_open(each)
            if fits and (best is None or each.taken < best[1].taken):
                best = address, each
        if best is None:
            return None
        best[1].streams.add(stream)
        return best[0]

    def release(self, address: str, stream: str) -> None:
        """The stream has ended."""
        if (instance := self.instances.get(address)) is not None:
            instance.streams.discard(stream)
            self._tidy(address)

    def inherit(self, address: str, streams: int) -> None:
        """An instance has so many streams from before our time."""
        self.instances.setdefault(address, Instance()).inherited = streams
        self._tidy(address)

    def promise(self, address: str) -> None:
        """An instance answers; its pod will say so soon, or :meth:`unpromise` is called."""
        instance = self.instances.setdefault(address, Instance())
        instance.promised, instance.doubted = True, False

    def unpromise(self, address: str) -> None:
        """Time is up for a promise."""
        if (instance := self.instances.get(address)) is not None:
            instance.promised = False
            self._tidy(address)

    def doubt(self, address: str, *, doubted: bool) -> None:
        """Whether an instance's last answer makes it look dead."""
        if (instance := self.instances.get(address)) is not None:
            instance.doubted = doubted

    def set_known(self, addresses: Iterable[str]) -> None:
        """The instances as their pods say: those that were seen and went take no more streams."""
        now = set(addresses)
        for address in now:
            self.instances.setdefault(address, Instance())
        for address, each in list(self.instances.items()):
            if each.known and address not in now:
                each.promised = False
            each.known = address in now
            self._tidy(address)

    def check(self) -> None:
        """Assert the invariants."""
        for address, each in self.instances.items():
            assert len(each.streams) <= self.limit, (address, each)

    def _tidy(self, address: str) -> None:
        each = self.instances[address]
        if not (each.taken or each.known or each.promised):
            del self.instances[address]


def _is_open(instance: Instance) -> bool:
    return (instance.known or instance.promised) and not instance.doubted


@dataclass(slots=True)
class Early:
    """Streams that ended before they were known: the newest ``EARLY_MAX``."""

    _streams: dict[str, None] = field(default_factory=dict)

    def add(self, stream: str) -> None:
        """It has ended."""
        self._streams[stream] = None
        if len(self._streams) > EARLY_MAX:
            del self._streams[next(iter(self._streams))]

    def take(self, stream: str) -> bool:
        """Whether it had ended; forgotten then."""
        return self._streams.pop(stream, self) is None
