"""Keeps the slots of revisions with a containerConcurrency as Envoy's streams begin and end.

Envoy sends an access log entry for every stream of such a revision, the moment it ends; see
``bootstrap``. That is how slots come back: whatever the reason for the end, a
worker thread's death included.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping

from hearth.api.meta import ObjectKey
from hearth.gateway.core.slots import Early, Slots
from hearth.kit.tasks import TaskGroup

log = logging.getLogger(__name__)

PROMISE_S = 5.0  #: for an instance's pod to say what an activation said
_DOUBT_PAUSE_S = 0.02  #: between looks whether a doubted instance listens
_DOUBT_MAX_S = 10.0
_PROBE_TIMEOUT_S = 0.25
#: Envoy's flags for an instance that refused a stream, or ended it: UF, UC and UR.
_DEAD = frozenset((b"UF", b"UC", b"UR"))
#: The text within each entry, whose other fields are not needed: ``bootstrap.STREAM_ENDED``.
_ENDED = re.compile(rb"<([^ <>]+) ([^ <>]+) ([^ <>]*)>")
#: A stream that did not end well: its app hears of that over a connection of its own, and what
#: comes next must not be there before.
_NOTICE_S = 0.05
_FOLLOW_S = 0.2  #: between looks at streams that an earlier companion let go
_QUIET_REPORTS = 20  #: load reports that must agree that a revision is idle: 2 s

#: The addresses of a revision's routable instances.
FindInstances = Callable[[ObjectKey], Iterable[str]]
#: Streams that were held and are now with an instance, by its address, as Envoy counts them.
LetGo = Callable[[], Awaitable[dict[str, int]]]


class Limits:
    """Slots by revision. Belongs to one event loop."""

    def __init__(self, instances_of: FindInstances) -> None:
        self._instances_of = instances_of
        self._slots: dict[ObjectKey, Slots] = {}
        self._streams: dict[str, tuple[ObjectKey, str]] = {}  #: revision and address
        self._early = Early()
        self._quiet: dict[ObjectKey, int] = {}  #: reports in a row without a stream that has a slot
        self._inherited: dict[str, int] = {}  #: streams by address: an earlier companion's
        self._tasks = TaskGroup()
        #: told of a revision that has room again
        self.on_room: Callable[[ObjectKey], None] = lambda key: None

    async def close(self) -> None:
        """Look at no instance any more."""
        await self._tasks.close()

    def of(self, key: ObjectKey, limit: int) -> Slots:
        """The slots of a revision, whose containerConcurrency is ``limit``."""
        slots = self._slots.get(key)
        if slots is None:
            slots = self._slots[key] = Slots(limit)
            slots.set_known(self._instances_of(key))
            self._inherit(slots, self._inherited)
        return slots

    def running_at(self, key: ObjectKey) -> dict[str, int]:
        """Streams of a revision by instance, without those that have none."""
        if (slots := self._slots.get(key)) is None:
            return {}
        return {at: len(each.streams) for at, each in slots.instances.items() if each.streams}

    async def inherit(self, let_go: LetGo) -> None:
        """Know of the streams that an earlier companion let go, and follow them to their end."""
        self._inherited = await let_go()
        if self._inherited:
            self._tasks.start(self._follow(let_go), name="inherited streams")

    async def _follow(self, let_go: LetGo) -> None:
        before = self._inherited
        while self._inherited:
            await asyncio.sleep(_FOLLOW_S)
            now = await self._others(let_go)
            # A stream of our own that was let go just now may not be in Envoy's count yet: what
            # two looks agree on has ended.
            left = {
                address: min(count, max(before.get(address, 0), now.get(address, 0)))
                for address, count in self._inherited.items()
            }
            self._inherited = {address: count for address, count in left.items() if count}
            for key, slots in list(self._slots.items()):
                self._inherit(slots, left)
                self.on_room(key)
            before = now

    async def _others(self, let_go: LetGo) -> dict[str, int]:
        """Streams that are not ours, by address."""
        try:
            active = await let_go()
        except (OSError, TimeoutError):  # Envoy has died, and they with it
            return {}
        own = Counter(address for _, address in self._streams.values())
        return {address: max(0, count - own[address]) for address, count in active.items()}

    def _inherit(self, slots: Slots, streams: Mapping[str, int]) -> None:
        for address in slots.instances.keys() & streams.keys():
            slots.inherit(address, streams[address])

    def take(self, key: ObjectKey, limit: int, stream: str) -> str | None:
        """Give a slot; returns the instance's address, None if there is no room."""
        address = self.of(key, limit).take(stream)
        if address is not None:
            self._streams[stream] = key, address
        return address

    def is_over(self, stream: str) -> bool:
        """Whether a stream that asks now has ended already."""
        return self._early.take(stream)

    def take_log(self, entries: bytes) -> None:
        """Take in a message of Envoy's access log."""
        for stream, attempt, flags in _ENDED.findall(entries):
            said = () if flags == b"-" else flags.split(b",")
            self.ended(stream_name(stream.decode(), attempt.decode()), said)

    def ended(self, stream: str, flags: Collection[bytes] = ()) -> None:
        """A stream has ended, with Envoy's response flags."""
        if (found := self._streams.pop(stream, None)) is None:
            self._early.add(stream)
            return
        key, address = found
        if flags and not _DEAD.isdisjoint(flags):
            self._doubt(key, address)
        if flags:
            loop = asyncio.get_running_loop()
            loop.call_later(_NOTICE_S, self._release, key, address, stream)
        else:
            self._release(key, address, stream)

    def _release(self, key: ObjectKey, address: str, stream: str) -> None:
        if (slots := self._slots.get(key)) is not None:
            slots.release(address, stream)
            self.on_room(key)

    def _doubt(self, key: ObjectKey, address: str) -> None:
        slots = self._slots.get(key)
        if slots is not None and address in slots.open:
            slots.doubt(address, doubted=True)
            self._tasks.start(self._look_at(key, address), name=f"look at {address}")

    def promise(self, key: ObjectKey, limit: int, address: str) -> None:
        """An activation said that this instance answers."""
        slots = self.of(key, limit)
        slots.promise(address)
        self._inherit(slots, self._inherited)
        loop = asyncio.get_running_loop()
        loop.call_later(PROMISE_S, self._unpromise, key, address)
        self.on_room(key)

    def _unpromise(self, key: ObjectKey, address: str) -> None:
        if (slots := self._slots.get(key)) is not None:
            slots.unpromise(address)

    def instances_changed(self, key: ObjectKey) -> None:
        """Pods of a revision came or went; it is forgotten once nothing of it is left."""
        if (slots := self._slots.get(key)) is None:
            return
        slots.set_known(self._instances_of(key))
        self._inherit(slots, self._inherited)
        if not slots.instances:
            del self._slots[key]
        self.on_room(key)

    def forget_streams(self) -> None:
        """Envoy has died, and every stream with it."""
        for stream in list(self._streams):
            self.ended(stream)

    def observe(self, running: Mapping[ObjectKey, float]) -> None:
        """Take in Envoy's own count of streams, which a lost notice would contradict for ever.

        Args:
            running: requests in flight by revision, from one load report; 0 for those not in it.
        """
        busy = {key for key, _ in self._streams.values()}
        self._quiet = {k: self._quiet.get(k, 0) + 1 for k in busy if not running.get(k)}
        for key in [k for k, reports in self._quiet.items() if reports >= _QUIET_REPORTS]:
            log.warning("slots were not given back", extra={"f": {"revision": str(key)}})
            for stream in [s for s, (owner, _) in self._streams.items() if owner == key]:
                self.ended(stream)

    async def _look_at(self, key: ObjectKey, address: str) -> None:
        """Doubt an instance until it listens, or for so long."""
        deadline = asyncio.get_running_loop().time() + _DOUBT_MAX_S
        while not await accepts(address) and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(_DOUBT_PAUSE_S)
            if (slots := self._slots.get(key)) is None or address not in slots.instances:
                return
        if (slots := self._slots.get(key)) is not None:
            slots.doubt(address, doubted=False)
            self.on_room(key)


async def accepts(address: str) -> bool:
    """Whether something listens at ``IP:PORT``."""
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(_PROBE_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def stream_name(request: str, attempt: str) -> str:
    """One try of one request."""
    return f"{request} {attempt}"
