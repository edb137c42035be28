"""Garbage collection: follows every change in the store and deletes what must go.

``core.ownership`` decides what that is; events go an hour after they were last written.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from sys import intern
from typing import assert_never

import msgspec

from hearth.api.errors import AlreadyExists, ApiError, Conflict, NotFound
from hearth.api.kinds import NAMESPACE, SERVICE_ACCOUNT
from hearth.api.meta import ObjectKey, Wire, metadata, spec_of
from hearth.api.resources import RESOURCES
from hearth.apiserver.core.expiry import Expiry
from hearth.apiserver.core.lifecycle import Writer
from hearth.apiserver.core.ownership import (
    Collect,
    Disown,
    Effect,
    Finish,
    Furnish,
    Ownership,
    Release,
    Scope,
    Seen,
)
from hearth.apiserver.core.paths import Target
from hearth.apiserver.objects import Change, Objects
from hearth.kit.clock import Clock
from hearth.kit.times import rfc3339
from hearth.store import Compacted, Entry, Event
from hearth.store.core.keys import ROOT_PREFIX, object_key, parse_key

log = logging.getLogger(__name__)

EVENT_LIFE_S = 3600.0  #: Kubernetes' default
_RETRY_S = 5.0  #: after a deletion that failed everything is looked at again
_AT_ONCE_MAX = 64  #: deletions under way together: they share the store's commits
_RESOURCES = {(r.kind.group, r.kind.plural): r for r in RESOURCES}


class GarbageCollector:
    """Follows the store and deletes what nobody owns any more."""

    def __init__(self, objects: Objects, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock
        self._ownership = Ownership()
        self._expiry = Expiry()
        self._failed = False
        self._scopes: dict[Scope, Scope] = {}  #: one of each, as many objects have the same

    async def run(self) -> None:
        """Collect until cancelled."""
        while True:
            try:
                if await self._follow():
                    await asyncio.Event().wait()  # the store is closed: our end is near
                await asyncio.sleep(_RETRY_S)
            except Compacted:
                log.warning("garbage collector fell behind and starts over")

    async def _follow(self) -> bool:
        """Look at everything, then at every change, until work failed or the store ended (True)."""
        entries, revision = await self._objects.backend.scan(ROOT_PREFIX)
        watch = self._objects.backend.watch(ROOT_PREFIX, revision)
        try:
            self._ownership, self._expiry, self._failed = Ownership(), Expiry(), False
            await self._carry_out(self._ownership.load([self._see(*each) for each in entries]))
            while not self._failed:
                events = await watch.next(self._wait_s())
                if events is None:
                    return True
                await self._carry_out([e for event in events for e in self._take(event)])
                await self._drop_expired()
            return False
        finally:
            watch.close()

    def _take(self, event: Event) -> list[Effect]:
        if event.new is None:
            self._expiry.remove(event.key)
            return self._ownership.remove(event.key)
        return self._ownership.put(self._see(event.key, event.new))

    def _see(self, key: str, entry: Entry) -> Seen:
        group, plural, own = parse_key(key)
        wire = _BRIEF.decode(entry.value)
        if plural == "events":
            self._expiry.put(key, _written_s(wire) + EVENT_LIFE_S)
        meta = wire.metadata
        owners = tuple(intern(reference.uid) for reference in meta.owners)
        blocking = tuple(intern(reference.uid) for reference in meta.owners if reference.blocks)
        scope = (own.tenant, own.namespace)
        return Seen(
            key=key,
            uid=intern(meta.uid),
            scope=self._scopes.setdefault(scope, scope),
            owners=owners,
            blocking=owners if blocking == owners else blocking,  # one is kept, not two
            finalizers=tuple(meta.finalizers),
            deleting=bool(meta.deleted_at),
            namespace=own.name if (group, plural) == ("", NAMESPACE.plural) else "",
        )

    def _wait_s(self) -> float | None:
        due_s = self._expiry.next_s()
        return None if due_s is None else max(0.0, due_s - self._clock.now().timestamp())

    async def _drop_expired(self) -> None:
        due = self._expiry.pop_due(self._clock.now().timestamp())
        await self._carry_out([Collect(key, "") for key in due])

    # Carrying out

    async def _carry_out(self, effects: list[Effect]) -> None:
        wanted = list(dict.fromkeys(effects))
        for first in range(0, len(wanted), _AT_ONCE_MAX):
            batch = wanted[first : first + _AT_ONCE_MAX]
            await asyncio.gather(*(self._try(effect) for effect in batch))

    async def _try(self, effect: Effect) -> None:
        try:
            await self._do(effect)
        except (NotFound, Conflict, AlreadyExists):
            return  # it is gone or another one: a change that we shall see
        except ApiError as error:
            self._failed = True
            facts = {"effect": str(effect), "because": str(error)}
            log.warning("not collected", extra={"f": facts})

    async def _do(self, effect: Effect) -> None:
        match effect:
            case Collect(key, uid, foreground):
                await self._collect(key, uid, foreground=foreground)
            case Release(key, finalizer):
                await self._change(key, lambda wire: _without_finalizer(wire, finalizer))
            case Disown(key, owner):
                await self._change(key, lambda wire: _without_owner(wire, owner))
            case Finish(key):
                await self._change(key, _without_spec_finalizers)
            case Furnish(scope):
                await self._furnish(scope)
            case _:
                assert_never(effect)

    async def _collect(self, key: str, uid: str, *, foreground: bool) -> None:
        options: Wire = {"propagationPolicy": "Foreground" if foreground else "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        await self._objects.delete(_target(key), options)

    async def _furnish(self, scope: Scope) -> None:
        tenant, namespace = scope
        account = ObjectKey(tenant, namespace, "default")
        if self._objects.backend.get(object_key(SERVICE_ACCOUNT, account)) is None:
            target = Target(tenant, _RESOURCES["", SERVICE_ACCOUNT.plural], namespace)
            await self._objects.create(target, {"metadata": {"name": "default"}}, self._writer())

    async def _change(self, key: str, change: Change) -> None:
        def unpinned(wire: Wire) -> Wire:
            changed = change(wire)
            meta = {k: v for k, v in metadata(changed).items() if k != "resourceVersion"}
            return {**changed, "metadata": meta}

        await self._objects.change(_target(key), unpinned, self._writer())

    def _writer(self) -> Writer:
        now = rfc3339(self._clock.now())
        return Writer("hearth:garbage-collector", "garbage-collector", now, "Ignore")


class _Owner(msgspec.Struct):
    uid: str = ""
    blocks: bool | None = msgspec.field(name="blockOwnerDeletion", default=None)


class _Meta(msgspec.Struct):
    uid: str
    created_at: str = msgspec.field(name="creationTimestamp", default="")
    deleted_at: str | None = msgspec.field(name="deletionTimestamp", default=None)
    owner_references: list[_Owner] | None = msgspec.field(name="ownerReferences", default=None)
    finalizer_names: list[str] | None = msgspec.field(name="finalizers", default=None)

    @property
    def owners(self) -> list[_Owner]:
        return self.owner_references or []

    @property
    def finalizers(self) -> list[str]:
        return self.finalizer_names or []


class _Brief(msgspec.Struct):
    """The little of an object that matters here; the rest is not decoded."""

    metadata: _Meta
    last_timestamp: object = msgspec.field(name="lastTimestamp", default=None)


_BRIEF = msgspec.json.Decoder(_Brief)


def _written_s(wire: _Brief) -> float:
    """When an event was last written, in seconds since 1970, as far as it can be told."""
    created_s = datetime.fromisoformat(wire.metadata.created_at).timestamp()
    try:
        return max(created_s, datetime.fromisoformat(str(wire.last_timestamp)).timestamp())
    except ValueError:
        return created_s


def _target(key: str) -> Target:
    group, plural, own = parse_key(key)
    resource = _RESOURCES.get((group, plural))
    assert resource is not None, f"the store holds {key}, which no kind has"
    return Target(own.tenant, resource, own.namespace, own.name)


def _without_finalizer(wire: Wire, name: str) -> Wire:
    kept = [one for one in metadata(wire).get("finalizers") or () if one != name]
    return {**wire, "metadata": {**metadata(wire), "finalizers": kept}}


def _without_owner(wire: Wire, uid: str) -> Wire:
    kept = [r for r in metadata(wire).get("ownerReferences") or () if r["uid"] != uid]
    return {**wire, "metadata": {**metadata(wire), "ownerReferences": kept}}


def _without_spec_finalizers(wire: Wire) -> Wire:
    return {**wire, "spec": {**spec_of(wire), "finalizers": []}}
