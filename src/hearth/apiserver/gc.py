"""Garbage collection: what is left of an object when its owners are gone.

A part of its own that follows every change in the store: dependents whose owners are all gone are
deleted, a deleted namespace is emptied, an object that is deleted in the foreground waits for its
dependents, and a namespace gets its default service account.

Source: kubernetes.io/docs/concepts/architecture/garbage-collection.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from datetime import UTC, datetime, timedelta

from hearth.api.errors import AlreadyExists, ApiError, NotFound
from hearth.api.kinds import CORE_EVENT, EVENT, NAMESPACE, SERVICE_ACCOUNT
from hearth.api.meta import ObjectKey, Wire, is_deleting, metadata, spec_of, uid_of
from hearth.api.resources import RESOURCES, resource_for
from hearth.apiserver.codec import decode
from hearth.apiserver.core.deletion import FOREGROUND, ORPHAN
from hearth.apiserver.core.lifecycle import Writer
from hearth.apiserver.core.paths import Target
from hearth.apiserver.objects import Objects
from hearth.kit.clock import Clock
from hearth.kit.times import rfc3339
from hearth.store import Compacted, Entry, Event
from hearth.store.core.keys import ROOT_PREFIX, object_key, parse_key, resource_prefix

log = logging.getLogger(__name__)

EVENT_LIFE_S = 3600.0  #: Kubernetes' default
_SWEEP_INTERVAL_S = 300.0  #: how often old events are looked for


class GarbageCollector:
    """Follows the store and deletes what nobody owns any more."""

    def __init__(self, objects: Objects, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock
        self._dependents: defaultdict[str, set[str]] = defaultdict(set)  #: keys by owner's UID
        self._alive: dict[str, str] = {}  #: key by UID
        self._owners: dict[str, list[Wire]] = {}  #: owner references by key

    async def run(self) -> None:
        """Collect until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name="gc follow")
            group.create_task(self._sweep_events(), name="gc events")

    async def _follow(self) -> None:
        while True:
            entries, revision = await self._objects.backend.scan(ROOT_PREFIX)
            self._dependents.clear()
            self._alive.clear()
            self._owners.clear()
            for key, entry in entries:
                self._note(key, decode(entry))
            for key, entry in entries:
                await self._look_at(key, decode(entry))
            try:
                watch = self._objects.backend.watch(ROOT_PREFIX, revision)
                while (events := await watch.next()) is not None:
                    for event in events:
                        await self._take(event)
                await asyncio.Event().wait()  # the store is closed: our end is near
            except Compacted:
                log.warning("garbage collector fell behind and starts over")

    async def _take(self, event: Event) -> None:
        if event.new is not None:
            if event.key.split("/")[3] == "core" and event.key.split("/")[4] == "events":
                return
            wire = decode(event.new)
            self._note(event.key, wire)
            await self._look_at(event.key, wire)
        elif event.old is not None:
            await self._gone(event.key, decode(event.old))

    def _note(self, key: str, wire: Wire) -> None:
        self._alive[uid_of(wire)] = key
        references = metadata(wire).get("ownerReferences") or []
        for reference in self._owners.get(key, ()):
            self._dependents[reference["uid"]].discard(key)
        if references:
            self._owners[key] = references
        else:
            self._owners.pop(key, None)
        for reference in references:
            self._dependents[reference["uid"]].add(key)

    async def _gone(self, key: str, wire: Wire) -> None:
        uid = uid_of(wire)
        for reference in self._owners.pop(key, ()):
            self._dependents[reference["uid"]].discard(key)
        if self._alive.get(uid) == key:  # else it was moved and lives under another key
            del self._alive[uid]
            for dependent in list(self._dependents.pop(uid, ())):
                await self._collect_if_ownerless(dependent)
        for reference in metadata(wire).get("ownerReferences") or ():
            owner = self._alive.get(reference["uid"])
            if owner is not None:
                await self._revisit(owner)
        namespace = metadata(wire).get("namespace")
        if namespace:
            tenant = parse_key(key)[2].tenant
            await self._revisit(object_key(NAMESPACE, ObjectKey(tenant, "", namespace)))

    async def _revisit(self, key: str) -> None:
        entry = self._objects.backend.get(key)
        if entry is not None:
            wire = decode(entry)
            if is_deleting(wire):
                await self._look_at(key, wire)

    async def _look_at(self, key: str, wire: Wire) -> None:
        """Do what the object's state asks for."""
        group, plural, _ = parse_key(key)
        if (group, plural) == ("", "namespaces"):
            await self._keep_namespace(key, wire)
        if key in self._owners:
            await self._collect_if_ownerless(key)
        if is_deleting(wire):
            finalizers = metadata(wire).get("finalizers") or ()
            if FOREGROUND in finalizers:
                await self._finish_foreground(key, uid_of(wire))
            elif ORPHAN in finalizers:
                await self._orphan(key, uid_of(wire))

    async def _collect_if_ownerless(self, key: str) -> None:
        references = self._owners.get(key) or []
        if references and not any(self._owner_lives(key, ref["uid"]) for ref in references):
            await self._delete(key)

    def _owner_lives(self, key: str, uid: str) -> bool:
        """Whether the owner exists, in the dependent's namespace or cluster-wide."""
        owner = self._alive.get(uid)
        if owner is None:
            return False
        own, theirs = parse_key(key)[2], parse_key(owner)[2]
        return theirs.namespace in ("", own.namespace)

    async def _finish_foreground(self, key: str, uid: str) -> None:
        dependents = list(self._dependents.get(uid, ()))
        for dependent in dependents:
            await self._delete(dependent)
        if not self._dependents.get(uid):
            await self._drop_finalizer(key, FOREGROUND)

    async def _orphan(self, key: str, uid: str) -> None:
        for dependent in list(self._dependents.get(uid, ())):

            def disown(wire: Wire) -> Wire:
                kept = [r for r in metadata(wire).get("ownerReferences") or () if r["uid"] != uid]
                return _with_metadata(wire, ownerReferences=kept)

            await self._change(dependent, disown)
        await self._drop_finalizer(key, ORPHAN)

    async def _keep_namespace(self, key: str, wire: Wire) -> None:
        own = parse_key(key)[2]
        if not is_deleting(wire):
            await self._make_service_account(own)
            return
        left = 0
        for resource in RESOURCES:
            if not resource.kind.namespaced:
                continue
            prefix = resource_prefix(resource.kind, own.tenant, own.name)
            for found, _ in (await self._objects.backend.scan(prefix))[0]:
                left += 1
                await self._delete(found)
        if left and await self._is_empty(own):
            left = 0
        if not left and spec_of(wire).get("finalizers"):
            await self._change(key, lambda w: {**w, "spec": {**spec_of(w), "finalizers": []}})

    async def _is_empty(self, namespace: ObjectKey) -> bool:
        for resource in RESOURCES:
            prefix = resource_prefix(resource.kind, namespace.tenant, namespace.name)
            if resource.kind.namespaced and (await self._objects.backend.scan(prefix))[0]:
                return False
        return True

    async def _make_service_account(self, namespace: ObjectKey) -> None:
        resource = resource_for("", "v1", "serviceaccounts")
        assert resource is not None
        wire = {"metadata": {"name": "default", "namespace": namespace.name}}
        account = ObjectKey(namespace.tenant, namespace.name, "default")
        if self._objects.backend.get(object_key(SERVICE_ACCOUNT, account)) is not None:
            return
        target = Target(namespace.tenant, resource, namespace.name)
        try:
            await self._objects.create(target, wire, self._writer())
        except (AlreadyExists, NotFound):
            return

    async def _sweep_events(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_INTERVAL_S)
            oldest = self._clock.now().astimezone(UTC) - timedelta(seconds=EVENT_LIFE_S)
            for key, entry in (await self._objects.backend.scan(ROOT_PREFIX))[0]:
                group, plural, _ = parse_key(key)
                if (group, plural) in (("", CORE_EVENT.plural), (EVENT.group, EVENT.plural)):
                    await self._delete_old(key, entry, oldest)

    async def _delete_old(self, key: str, entry: Entry, oldest: datetime) -> None:
        wire = decode(entry)
        last = wire.get("lastTimestamp") or metadata(wire).get("creationTimestamp") or ""
        if last and datetime.fromisoformat(last.replace("Z", "+00:00")) < oldest:
            await self._delete(key)

    async def _delete(self, key: str) -> None:
        entry = self._objects.backend.get(key)
        if entry is None or is_deleting(decode(entry)):
            return
        try:
            await self._objects.delete(_target(key), {"propagationPolicy": "Background"})
        except ApiError as error:
            log.debug("not collected", extra={"f": {"key": key, "because": str(error)}})

    async def _drop_finalizer(self, key: str, name: str) -> None:
        def without(wire: Wire) -> Wire:
            kept = [one for one in metadata(wire).get("finalizers") or () if one != name]
            return _with_metadata(wire, finalizers=kept)

        await self._change(key, without)

    async def _change(self, key: str, change: object) -> None:
        assert callable(change)

        def unpinned(wire: Wire) -> Wire:
            changed: Wire = change(wire)
            kept = {k: v for k, v in metadata(changed).items() if k != "resourceVersion"}
            return {**changed, "metadata": kept}

        try:
            await self._objects.change(_target(key), unpinned, self._writer())
        except ApiError as error:
            log.debug("not changed", extra={"f": {"key": key, "because": str(error)}})

    def _writer(self) -> Writer:
        now = rfc3339(self._clock.now())
        return Writer("hearth:garbage-collector", "garbage-collector", now, "Ignore")


def _target(key: str) -> Target:
    group, plural, own = parse_key(key)
    for resource in RESOURCES:
        if (resource.kind.group, resource.kind.plural) == (group, plural):
            return Target(own.tenant, resource, own.namespace, own.name)
    raise AssertionError(f"the store holds {key}, which no kind has")


def _with_metadata(wire: Wire, **changes: object) -> Wire:
    return {**wire, "metadata": {**metadata(wire), **changes}}
