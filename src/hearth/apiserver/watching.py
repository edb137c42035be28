"""Watches: what a client is told of the changes after a version."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

import msgspec

from hearth.api.errors import Gone
from hearth.api.meta import Wire
from hearth.api.selectors import Selector
from hearth.api.tables import make_table
from hearth.apiserver.codec import decode
from hearth.apiserver.core.paths import ALL_TENANTS, Target
from hearth.apiserver.objects import Objects, rendered, selected
from hearth.apiserver.showing import Get, shown_event, stored_kinds
from hearth.kit.clock import Clock
from hearth.store import Compacted, Entry, Event
from hearth.store.core.keys import ROOT_PREFIX, parse_key, resource_prefix, tenant_prefix

BOOKMARK_INTERVAL_S = 60.0  #: so that a quiet watch does not fall out of the kept history
_INITIAL_BATCH = 100  #: objects sent in one piece at the start
TIMEOUT_MAX_S = 3600.0  #: a watch ends after this long at the latest; clients go on from there


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What the client asked for."""

    labels: Selector
    fields: Selector
    resource_version: str  #: empty or ``0``: from now, after what is there
    timeout_s: float
    bookmarks: bool
    table: str | None  #: includeObject when the client wants tables, else None
    #: sendInitialEvents: begin with what is there, and a bookmark after it; False: with neither
    send_initial: bool | None = None


class Watching:
    """Makes the streams of watches."""

    def __init__(self, objects: Objects, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock

    async def stream(self, target: Target, options: WatchOptions) -> AsyncIterator[bytes]:
        """Lines of JSON watch events until the timeout."""
        sender = _Sender(target, options, self._objects.backend.get)
        deadline = asyncio.get_running_loop().time() + min(options.timeout_s, TIMEOUT_MAX_S)
        try:
            after = int(options.resource_version or 0)
            if not after and options.send_initial is False:
                after = self._objects.backend.revision
            elif not after or options.send_initial:
                entries, after = await self._objects.find(target, options.labels, options.fields)
                now = self._clock.now()
                for first in range(0, len(entries), _INITIAL_BATCH):
                    batch = entries[first : first + _INITIAL_BATCH]
                    yield b"".join(sender.line("ADDED", *each, now) for each in batch)
                if options.send_initial:
                    yield sender.bookmark(after, initial_end=True)
            async for line in self._follow(sender, target, after, deadline):
                yield line
        except Compacted as error:
            yield _error_line(Gone(f"too old resource version: {error}"))

    async def _follow(
        self, sender: _Sender, target: Target, after: int, deadline: float
    ) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        watch = self._objects.backend.watch(_watched(target), after)
        bookmark_at = min(loop.time() + BOOKMARK_INTERVAL_S, deadline)
        try:
            while (now := loop.time()) < deadline:
                events = await watch.next(max(0.0, bookmark_at - now))
                if events is None:
                    return
                if lines := b"".join(sender.lines(events, self._clock.now())):
                    yield lines
                if loop.time() >= bookmark_at:
                    bookmark_at = min(loop.time() + BOOKMARK_INTERVAL_S, deadline)
                    if sender.options.bookmarks:
                        yield sender.bookmark(watch.revision)
        finally:
            watch.close()


def _watched(target: Target) -> str:
    """The store's prefix below which everything is that the client can be told of."""
    if target.tenant == ALL_TENANTS:
        return ROOT_PREFIX
    first, *others = stored_kinds(target.resource)
    if others:
        return tenant_prefix(target.tenant)
    return resource_prefix(first, target.tenant, target.namespace)


class _Sender:
    """Turns store events into watch events for one client."""

    def __init__(self, target: Target, options: WatchOptions, get: Get) -> None:
        self._target = target
        self._get = get
        self.options = options
        kinds = stored_kinds(target.resource)
        self._wanted = {(kind.group, kind.plural) for kind in kinds}
        self._sifts = target.tenant == ALL_TENANTS or len(kinds) > 1

    def selects(self, entry: Entry | None) -> bool:
        """Whether the client asked for the object."""
        if entry is None:
            return False
        options = self.options
        if not options.labels and not options.fields:
            return True
        return selected(self._target.resource, entry, options.labels, options.fields)

    def lines(self, events: list[Event], now: datetime) -> list[bytes]:
        """The watch events of store events: an object may also enter or leave the selection."""
        lines = []
        for stored in events:
            if self._sifts and not self._is_meant(stored.key):
                continue
            event = shown_event(self._target.resource, stored, self._get)
            if event is None:
                continue
            had, has = self.selects(event.old), self.selects(event.new)
            if has and event.new is not None:
                kind = "MODIFIED" if had else "ADDED"
                lines.append(self.line(kind, event.key, event.new, now))
            elif had and event.old is not None:
                lines.append(self.line("DELETED", event.key, event.old, now, event.revision))
        return lines

    def _is_meant(self, key: str) -> bool:
        group, plural, own = parse_key(key)
        namespace = self._target.namespace
        return (group, plural) in self._wanted and namespace in ("", own.namespace)

    def line(self, kind: str, key: str, entry: Entry, now: datetime, revision: int = 0) -> bytes:
        """One watch event."""
        if self.options.table is not None:
            rv = str(revision or entry.modified)
            items = [decode(entry, revision)]
            table = make_table(self._target.resource, items, rv, now, include=self.options.table)
            body = msgspec.json.encode(table)
        else:
            body = rendered(self._target, key, entry, revision)
        return b'{"type":"' + kind.encode() + b'","object":' + body + b"}\n"

    def bookmark(self, revision: int, *, initial_end: bool = False) -> bytes:
        """Nothing changed up to that revision."""
        kind = self._target.resource.kind
        meta: Wire = {"resourceVersion": str(revision)}
        if initial_end:
            meta["annotations"] = {"k8s.io/initial-events-end": "true"}
        wire: Wire = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": meta}
        if self.options.table is not None:
            wire = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "rows": []}
        return msgspec.json.encode({"type": "BOOKMARK", "object": wire}) + b"\n"


def _error_line(error: Gone) -> bytes:
    return msgspec.json.encode({"type": "ERROR", "object": error.status()}) + b"\n"
