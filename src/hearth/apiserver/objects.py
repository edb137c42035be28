"""Creates, reads, changes and deletes objects in the store."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hearth.api.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    ServiceUnavailable,
)
from hearth.api.kinds import NAMESPACE
from hearth.api.meta import ObjectKey, Wire, is_deleting, metadata, name_of, uid_of
from hearth.api.registry import Resource
from hearth.api.selectors import Selector
from hearth.apiserver.codec import decode, encode_stored, labels_in, render
from hearth.apiserver.core.deletion import begin_deletion, is_finished
from hearth.apiserver.core.lifecycle import Writer, parse_checked, prepare_create, prepare_update
from hearth.apiserver.core.paths import ALL_TENANTS, Target
from hearth.kit.clock import Clock
from hearth.store import Backend, Entry, KeyExists, Mismatch, Put, Remove, StoreUnavailable
from hearth.store.core.keys import ROOT_PREFIX, object_key, parse_key, resource_prefix

_TRIES_MAX = 10  #: attempts at a change that others keep overtaking

Change = Callable[[Wire], Wire]


@dataclass(slots=True)
class Outcome:
    """What a write led to."""

    wire: Wire
    warnings: list[str] = field(default_factory=list)
    created: bool = False


class Objects:
    """The objects of all tenants."""

    def __init__(self, backend: Backend, clock: Clock) -> None:
        self._backend = backend
        self._clock = clock

    @property
    def backend(self) -> Backend:
        """The store."""
        return self._backend

    async def get(self, target: Target) -> Wire:
        """One object; raises ``NotFound``."""
        entry = await self._backend.read(object_key(target.resource.kind, target.key))
        if entry is None:
            raise _not_found(target)
        return decode(entry)

    async def render_list(
        self, target: Target, labels: Selector, fields: Selector
    ) -> tuple[bytes, int]:
        """The selected objects as the inside of a JSON array, and their revision."""
        entries, revision = await self.entries(target)
        chosen = [
            self._rendered(key, entry, target)
            for key, entry in entries
            if self.selected(target.resource, entry, labels, fields)
        ]
        return b",".join(chosen), revision

    async def entries(self, target: Target) -> tuple[list[tuple[str, Entry]], int]:
        """All stored objects of a resource, by key, and their revision."""
        kind = target.resource.kind
        if target.tenant != ALL_TENANTS:
            prefix = resource_prefix(kind, target.tenant, target.namespace)
            return await self._backend.scan(prefix)
        found, revision = await self._backend.scan(ROOT_PREFIX)
        wanted = (kind.group, kind.plural)
        return [(key, entry) for key, entry in found if parse_key(key)[:2] == wanted], revision

    def selected(
        self, resource: Resource, entry: Entry, labels: Selector, fields: Selector
    ) -> bool:
        """Whether the selectors match a stored object."""
        if labels and not labels.matches(labels_in(entry)):
            return False
        return not fields or fields.matches(resource.fields(decode(entry)))

    def _rendered(self, key: str, entry: Entry, target: Target) -> bytes:
        if target.tenant != ALL_TENANTS:
            return render(entry)
        return render_with_tenant(key, entry)

    async def create(
        self, target: Target, wire: Any, by: Writer, *, dry_run: bool = False
    ) -> Outcome:
        """Store a new object."""
        resource = target.resource
        warnings = parse_checked(resource, wire, by.strictness)
        wire = _placed(wire, target)
        if resource.kind.namespaced:
            await self._check_namespace(target.tenant, wire["metadata"]["namespace"])
        new = prepare_create(resource, wire, str(uuid.uuid4()), by)
        key = ObjectKey(target.tenant, metadata(new).get("namespace") or "", name_of(new))
        store_key = object_key(resource.kind, key)
        if dry_run:
            if self._backend.get(store_key) is not None:
                raise _exists(resource, key)
            return Outcome(new, warnings, created=True)
        try:
            revision = await self._write(Put(store_key, encode_stored(new), expect=0))
        except KeyExists as error:
            raise _exists(resource, key) from error
        return Outcome(_at(new, revision), warnings, created=True)

    async def update(
        self, target: Target, wire: Any, by: Writer, *, dry_run: bool = False
    ) -> Outcome:
        """Replace an object; its resourceVersion, if given, must be the stored one."""
        warnings = parse_checked(target.resource, wire, by.strictness)
        wire = _placed(wire, target)
        if name_of(wire) != target.name:
            raise BadRequest(
                f"the name of the object ({name_of(wire)}) does not match the name on the URL "
                f"({target.name})"
            )
        outcome = await self.change(target, lambda old: wire, by, dry_run=dry_run)
        outcome.warnings = warnings
        return outcome

    async def change(
        self, target: Target, change: Change, by: Writer, *, dry_run: bool = False
    ) -> Outcome:
        """Store what ``change`` makes of the object; tried again when someone else was first.

        A changed object that names a resourceVersion is stored only at that version.
        """
        store_key = object_key(target.resource.kind, target.key)
        for _ in range(_TRIES_MAX):
            entry = self._backend.get(store_key)
            if entry is None:
                raise _not_found(target)
            old = decode(entry)
            changed = change(old)
            pinned = _check_version(target, old, changed)
            _check_uid(target, old, changed)
            old = _without_version(old)
            new = prepare_update(target.resource, old, changed, by, target.subresource)
            if new == old or dry_run:
                return Outcome(_at(new, entry.modified))
            try:
                return await self._store(target, store_key, new, entry.modified)
            except Mismatch as error:
                if pinned:
                    raise _conflict(target) from error
        raise _conflict(target)

    async def _store(self, target: Target, store_key: str, new: Wire, expect: int) -> Outcome:
        if is_finished(target.resource, new):
            revision = await self._write(Remove(store_key, expect))
        else:
            revision = await self._write(Put(store_key, encode_stored(new), expect))
        return Outcome(_at(new, revision))

    async def delete(self, target: Target, options: Wire) -> Wire:
        """Begin the object's end; returns its last state, or how it is going."""
        store_key = object_key(target.resource.kind, target.key)
        for _ in range(_TRIES_MAX):
            entry = self._backend.get(store_key)
            if entry is None:
                raise _not_found(target)
            old = decode(entry)
            _check_preconditions(target, old, options)
            if options.get("dryRun"):
                return old
            old = _without_version(old)
            going = begin_deletion(target.resource, old, options, self._clock.now())
            try:
                if going is None:
                    return _at(old, await self._write(Remove(store_key, entry.modified)))
                if going == old:
                    return _at(old, entry.modified)
                put = Put(store_key, encode_stored(going), entry.modified)
                return _at(going, await self._write(put))
            except Mismatch:
                continue
        raise _conflict(target)

    async def move(self, target: Target, moved: Wire, old: Wire) -> Wire:
        """Store ``moved`` under its own namespace in place of ``old``, in one transaction."""
        kind = target.resource.kind
        namespace = metadata(moved)["namespace"]
        await self._check_namespace(target.tenant, namespace)
        old_key = object_key(kind, target.key)
        new_key = object_key(kind, target.key._replace(namespace=namespace))
        version = int(metadata(old)["resourceVersion"])
        put = Put(new_key, encode_stored(moved), None if new_key == old_key else 0)
        ops = [put] if new_key == old_key else [Remove(old_key, version), put]
        try:
            return _at(moved, await self._write(*ops))
        except (KeyExists, Mismatch) as error:
            raise _conflict(target) from error

    async def _write(self, *ops: Put | Remove) -> int:
        try:
            events = await self._backend.write(ops)
        except StoreUnavailable as error:
            raise ServiceUnavailable(str(error)) from error
        return events[-1].revision

    async def _check_namespace(self, tenant: str, namespace: str) -> None:
        entry = self._backend.get(object_key(NAMESPACE, ObjectKey(tenant, "", namespace)))
        if entry is None:
            raise NotFound(
                f'namespaces "{namespace}" not found',
                details={"name": namespace, "kind": "namespaces"},
            )
        if is_deleting(decode(entry)):
            raise Forbidden(
                f"unable to create new content in namespace {namespace} because it is being "
                "terminated"
            )


def render_with_tenant(key: str, entry: Entry, revision: int = 0) -> bytes:
    """The object as JSON, annotated with its tenant."""
    import msgspec

    from hearth.api.meta import TENANT_ANNOTATION

    wire = decode(entry, revision)
    annotations = {**(metadata(wire).get("annotations") or {})}
    annotations[TENANT_ANNOTATION] = parse_key(key)[2].tenant
    return msgspec.json.encode({**wire, "metadata": {**metadata(wire), "annotations": annotations}})


def _placed(wire: Wire, target: Target) -> Wire:
    """The object with the namespace and name that the path gives it."""
    meta = {**metadata(wire)}
    if target.resource.kind.namespaced:
        have = meta.get("namespace") or target.namespace
        if have != target.namespace:
            raise BadRequest(
                "the namespace of the provided object does not match the namespace sent on the "
                f"request: {have} is not {target.namespace}"
            )
        meta["namespace"] = target.namespace
    else:
        meta.pop("namespace", None)
    if not meta.get("name") and meta.get("generateName"):
        meta["name"] = meta["generateName"] + secrets.token_hex(3)[:5]
    if not meta.get("name") and target.name:
        meta["name"] = target.name
    return {**wire, "metadata": meta}


def _at(wire: Wire, revision: int) -> Wire:
    return {**wire, "metadata": {**metadata(wire), "resourceVersion": str(revision)}}


def _without_version(wire: Wire) -> Wire:
    meta = {k: v for k, v in metadata(wire).items() if k != "resourceVersion"}
    return {**wire, "metadata": meta}


def _check_version(target: Target, old: Wire, changed: Wire) -> bool:
    """Whether the change insists on a version; raises ``Conflict`` when it is not this one."""
    wanted = metadata(changed).get("resourceVersion")
    have = metadata(old)["resourceVersion"]
    if not wanted:
        return False
    if wanted != have:
        raise _conflict(target)
    return changed is not old


def _check_uid(target: Target, old: Wire, changed: Wire) -> None:
    wanted = uid_of(changed)
    if wanted and wanted != uid_of(old):
        raise Conflict(
            f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {uid_of(old)}"
        )


def _check_preconditions(target: Target, old: Wire, options: Wire) -> None:
    wanted = options.get("preconditions") or {}
    for field_name in ("uid", "resourceVersion"):
        have = metadata(old).get(field_name)
        if wanted.get(field_name) not in (None, have):
            raise Conflict(
                f"Precondition failed: {field_name} in precondition: {wanted[field_name]}, "
                f"in object meta: {have}"
            )


def _not_found(target: Target) -> NotFound:
    kind = target.resource.kind
    details = {"name": target.name, "group": kind.group, "kind": kind.plural}
    return NotFound(f'{kind} "{target.name}" not found', details=details)


def _exists(resource: Resource, key: ObjectKey) -> AlreadyExists:
    kind = resource.kind
    details = {"name": key.name, "group": kind.group, "kind": kind.plural}
    return AlreadyExists(f'{kind} "{key.name}" already exists', details=details)


def _conflict(target: Target) -> Conflict:
    kind = target.resource.kind
    return Conflict(
        f'Operation cannot be fulfilled on {kind} "{target.name}": the object has been modified; '
        "please apply your changes to the latest version and try again",
        details={"name": target.name, "group": kind.group, "kind": kind.plural},
    )
