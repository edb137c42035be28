"""A cache of one kind, kept by list and watch, and the events of its changes.

Reflector and indexer in one: the list fills the cache, the watch keeps it; when the watch breaks it
goes on from the last resourceVersion, and when that is too old everything is listed again and the
differences become events. Objects in the cache are shared, and so are their parts: never change
them. They have no ``managedFields``: those are the API server's, and half of an object's size.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from hearth.api.errors import ApiError, Gone
from hearth.api.kinds import Kind
from hearth.api.meta import ObjectKey, Wire, key_of, resource_version_of
from hearth.client import Client, WatchEvent
from hearth.kit.backoff import backoff_s
from hearth.kit.sharing import Sharing

log = logging.getLogger(__name__)

_WORKED_S = 5.0  #: a watch that breaks after so long is no failure in a row with those before it


@dataclass(frozen=True, slots=True)
class Change:
    """One object appeared (``old`` is None), changed, or went (``new`` is None)."""

    key: ObjectKey
    old: Wire | None
    new: Wire | None

    @property
    def object(self) -> Wire:
        """The newest state we know."""
        found = self.new if self.new is not None else self.old
        assert found is not None
        return found


Wires: TypeAlias = list[Wire]
OnChange = Callable[[Change], None]
#: Index values of an object, e.g. the revision a pod belongs to.
IndexBy = Callable[[Wire], Iterable[str]]


class Informer:
    """The cache of one kind. Belongs to one event loop."""

    def __init__(
        self,
        client: Client,
        kind: Kind,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        sharing: Sharing | None = None,
    ) -> None:
        self.kind = kind
        self._client = client
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._objects: dict[ObjectKey, Wire] = {}
        self._handlers: list[OnChange] = []
        self._index_by: dict[str, IndexBy] = {}
        self._indexes: dict[str, dict[str, set[ObjectKey]]] = {}
        self._synced = asyncio.Event()
        self._sharing = sharing or Sharing()
        self.resource_version = ""  #: state of the store that the cache shows

    # Reading

    def get(self, key: ObjectKey) -> Wire | None:
        """The object, or None."""
        return self._objects.get(key)

    def list(self, namespace: str = "") -> Wires:
        """All objects, of one namespace or of all (empty)."""
        if not namespace:
            return list(self._objects.values())
        return [wire for key, wire in self._objects.items() if key.namespace == namespace]

    def by_index(self, index: str, value: str) -> Wires:
        """The objects that have ``value`` under the index."""
        keys = self._indexes[index].get(value, ())
        return [self._objects[key] for key in keys]

    def __len__(self) -> int:
        """How many objects the cache holds."""
        return len(self._objects)

    # Set-up

    def add_index(self, index: str, by: IndexBy) -> None:
        """Keep the index from now on, over what is there already too."""
        if index in self._index_by:
            return
        self._index_by[index] = by
        self._indexes[index] = defaultdict(set)
        for key, wire in self._objects.items():
            for value in by(wire):
                self._indexes[index][value].add(key)

    def on_change(self, handler: OnChange) -> None:
        """Call ``handler`` for every change, and now for every object that is there already."""
        self._handlers.append(handler)
        for key, wire in list(self._objects.items()):
            handler(Change(key, None, wire))

    async def wait_synced(self) -> None:
        """Return once the first list has filled the cache."""
        await self._synced.wait()

    @property
    def synced(self) -> bool:
        """Whether the first list has filled the cache."""
        return self._synced.is_set()

    # Running

    async def run(self) -> None:
        """List and watch until cancelled; failures are retried with a back-off."""
        failures = 0
        while True:
            begun_s = asyncio.get_running_loop().time()
            try:
                if not self.resource_version:
                    await self._list()
                await self._watch()
                failures = 0
            except Gone:
                self.resource_version = ""
            except (ApiError, ConnectionError) as error:
                worked = asyncio.get_running_loop().time() - begun_s >= _WORKED_S
                failures = 1 if worked else failures + 1
                delay = backoff_s(failures, base_s=0.05, max_s=10)
                facts = {"kind": str(self.kind), "because": str(error), "again_s": delay}
                log.warning("watch broke", extra={"f": facts})
                await asyncio.sleep(delay)

    async def _list(self) -> None:
        found = await self._client.list(
            self.kind,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        )
        seen = set()
        for wire in found.items:
            key = key_of(wire, self._client.tenant)
            seen.add(key)
            self._put(key, wire)
        for key in [key for key in self._objects if key not in seen]:
            self._drop(key)
        self.resource_version = found.resource_version
        self._synced.set()

    async def _watch(self) -> None:
        async for event in self._client.watch(
            self.kind,
            self._namespace,
            resource_version=self.resource_version,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        ):
            self._take(event)

    def _take(self, event: WatchEvent) -> None:
        self.resource_version = resource_version_of(event.object) or self.resource_version
        key = key_of(event.object, self._client.tenant)
        if event.type == "DELETED":
            self._drop(key, last=event.object)
        elif event.type != "BOOKMARK":
            self._put(key, event.object)

    def _put(self, key: ObjectKey, wire: Wire) -> None:
        old = self._objects.get(key)
        if old is not None and resource_version_of(old) == resource_version_of(wire):
            return
        wire = self._sharing.of(_without_managed_fields(wire))
        self._reindex(key, old, wire)
        self._objects[key] = wire
        self._tell(Change(key, old, wire))

    def _drop(self, key: ObjectKey, last: Wire | None = None) -> None:
        old = self._objects.pop(key, None)
        if old is None:
            return
        self._reindex(key, old, None)
        self._tell(Change(key, last or old, None))

    def _reindex(self, key: ObjectKey, old: Wire | None, new: Wire | None) -> None:
        for index, by in self._index_by.items():
            entries = self._indexes[index]
            for value in by(old) if old is not None else ():
                entries[value].discard(key)
                if not entries[value]:
                    del entries[value]
            for value in by(new) if new is not None else ():
                entries[value].add(key)

    def _tell(self, change: Change) -> None:
        for handler in self._handlers:
            handler(change)


def _without_managed_fields(wire: Wire) -> Wire:
    meta = wire["metadata"]
    if "managedFields" not in meta:
        return wire
    return {**wire, "metadata": {k: v for k, v in meta.items() if k != "managedFields"}}


class Informers:
    """The informers of one process: one per kind and selection, shared by all who ask."""

    def __init__(
        self,
        client: Client,
        *,
        label_selector: str = "",
        narrowed: Mapping[Kind, str] | None = None,
    ) -> None:
        """Watch as ``client``.

        Args:
            client: whose API.
            label_selector: the shard's, for kinds that carry a shard.
            narrowed: label selectors of kinds that others have objects of, too: they stand for
                "all" where all are asked for.
        """
        self._client = client
        self._narrowed = narrowed or {}
        self._label_selector = label_selector
        self._informers: dict[tuple[Kind, str, str, str], Informer] = {}
        self._sharing = Sharing()
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def tenant(self) -> str:
        """Whose objects these are, unless they say so themselves."""
        return self._client.tenant

    def of(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        label_selector: str | None = None,
        field_selector: str = "",
    ) -> Informer:
        """The informer of a kind; ``label_selector`` replaces the shard's."""
        selector = self._label_selector if label_selector is None else label_selector
        selector = selector or self._narrowed.get(kind, "")
        place = (kind, namespace, selector, field_selector)
        informer = self._informers.get(place)
        if informer is None:
            informer = Informer(
                self._client,
                kind,
                namespace=namespace,
                label_selector=selector,
                field_selector=field_selector,
                sharing=self._sharing,
            )
            self._informers[place] = informer
            if self._tasks is not None:
                self._tasks.create_task(informer.run(), name=f"informer {kind}")
        return informer

    async def run(self) -> None:
        """Run all informers, also those asked for later, until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            for informer in self._informers.values():
                self._tasks.create_task(informer.run(), name=f"informer {informer.kind}")
            await asyncio.Event().wait()

    async def wait_synced(self) -> None:
        """Return once every informer asked for so far holds its first list."""
        for informer in list(self._informers.values()):
            await informer.wait_synced()
