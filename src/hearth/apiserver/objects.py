"""Creates, reads, changes and deletes objects in the store."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from hearth.api.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    ServiceUnavailable,
)
from hearth.api.kinds import NAMESPACE
from hearth.api.meta import ObjectKey, Wire, is_deleting, metadata, name_of, uid_of
from hearth.api.naming import NAME_MAX
from hearth.api.registry import Resource
from hearth.api.selectors import Selector
from hearth.apiserver.codec import (
    decode,
    encode_stored,
    labels_in,
    render,
    render_value,
    render_with_tenant,
)
from hearth.apiserver.core.deletion import begin_deletion, is_finished
from hearth.apiserver.core.lifecycle import Writer, parse_checked, prepare_create, prepare_update
from hearth.apiserver.core.paths import ALL_TENANTS, Target
from hearth.apiserver.showing import shown_entry, stored_keys, stored_kinds
from hearth.kit.clock import Clock
from hearth.store import (
    Backend,
    Compacted,
    Entry,
    KeyExists,
    Mismatch,
    Put,
    Remove,
    StoreUnavailable,
)
from hearth.store.core.keys import ROOT_PREFIX, object_key, parse_key, resource_prefix

_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start "
    "a new list without the continue parameter."
)
_TRIES_MAX = 10  #: attempts at a change that others keep overtaking
_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  #: Kubernetes': no vowels, so no words
_SUFFIX_LENGTH = 5

#: Makes the object anew; one that keeps its resourceVersion is stored only at that version.
Change = Callable[[Wire], Wire]


@dataclass(slots=True)
class Outcome:
    """What a write led to."""

    value: bytes  #: as stored, without resourceVersion
    revision: int  #: 0 when it was never stored (a dry run)
    wire: Wire
    warnings: list[str] = field(default_factory=list)
    created: bool = False

    @property
    def body(self) -> bytes:
        """The object as JSON."""
        return render_value(self.value, self.revision)


class Objects:
    """The objects of all tenants."""

    def __init__(self, backend: Backend, clock: Clock) -> None:
        self._backend = backend
        self._clock = clock

    @property
    def backend(self) -> Backend:
        """The store."""
        return self._backend

    async def get(self, target: Target) -> Entry:
        """One object; raises ``NotFound``."""
        get = self._backend.get
        for key in stored_keys(target.resource, target.key):
            entry = shown_entry(target.resource, key, await self._backend.read(key), get)
            if entry is not None:
                return entry
        if target.resource.shown and len(target.name) == NAME_MAX:  # it may have been cut
            where = Target(target.tenant, target.resource, target.namespace)
            entries, _ = await self.find(where, Selector(), Selector())
            for _, entry in entries:
                if name_of(decode(entry)) == target.name:
                    return entry
        raise _not_found(target)

    async def find(
        self, target: Target, labels: Selector, fields: Selector, at: int | None = None
    ) -> tuple[list[tuple[str, Entry]], int]:
        """The selected objects with their store keys, and the revision they belong to.

        Raises:
            Gone: what was ``at`` that revision is no longer known.
        """
        try:
            entries, revision = await self._entries(target, at)
        except Compacted as error:
            raise Gone(_TOO_OLD) from error
        if target.resource.shown:
            get = self._backend.get
            shown = ((key, shown_entry(target.resource, key, each, get)) for key, each in entries)
            entries = [(key, entry) for key, entry in shown if entry is not None]
        if labels or fields:
            entries = [e for e in entries if selected(target.resource, e[1], labels, fields)]
        return entries, revision

    async def _entries(self, target: Target, at: int | None) -> tuple[list[tuple[str, Entry]], int]:
        first, *others = stored_kinds(target.resource)
        if target.tenant == ALL_TENANTS:
            found, revision = await self._backend.scan(ROOT_PREFIX, at)
            wanted = {(kind.group, kind.plural) for kind in (first, *others)}
            return [(key, entry) for key, entry in found if parse_key(key)[:2] in wanted], revision
        where = target.tenant, target.namespace
        found, revision = await self._backend.scan(resource_prefix(first, *where), at)
        for kind in others:
            more, _ = await self._backend.scan(resource_prefix(kind, *where), revision)
            found = sorted([*found, *more], key=itemgetter(0))
        return found, revision

    async def create(
        self, target: Target, wire: Any, by: Writer, *, dry_run: bool = False
    ) -> Outcome:
        """Store a new object; a generated name that is taken is generated again."""
        warnings = parse_checked(target.resource, wire, by.strictness)
        for _ in range(_TRIES_MAX):
            placed = _placed(wire, target)
            try:
                outcome = await self._create(target, placed, by, dry_run=dry_run)
            except AlreadyExists:
                if name_of(wire):
                    raise
                continue
            outcome.warnings = warnings
            return outcome
        raise _exists(target.resource, name_of(placed))

    async def _create(self, target: Target, wire: Wire, by: Writer, *, dry_run: bool) -> Outcome:
        resource = target.resource
        if resource.kind.namespaced:
            self._check_namespace(target.tenant, wire["metadata"]["namespace"])
        new = prepare_create(resource, wire, str(uuid.uuid4()), by)
        value, name = encode_stored(new), name_of(new)
        namespace = metadata(new).get("namespace") or ""
        store_key = object_key(resource.kind, ObjectKey(target.tenant, namespace, name))
        if dry_run:
            if self._backend.get(store_key) is not None:
                raise _exists(resource, name)
            return Outcome(value, 0, new, created=True)
        try:
            revision = await self._write(Put(store_key, value, expect=0))
        except KeyExists as error:
            raise _exists(resource, name) from error
        return Outcome(value, revision, new, created=True)

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
        """Store what ``change`` makes of the object; tried again when someone else was first."""
        store_key = object_key(target.resource.kind, target.key)
        for _ in range(_TRIES_MAX):
            entry = self._newest(target, store_key)
            old = decode(entry)
            changed = change(old)
            pinned = _check_version(target, old, changed)
            _check_identity(old, changed)
            old = _without_version(old)
            new = prepare_update(target.resource, old, changed, by, target.subresource)
            if dry_run:
                return Outcome(encode_stored(new), entry.modified, new)
            if new == old:
                await self._backend.read(store_key)  # what we say is there must be durable
                return Outcome(entry.value, entry.modified, old)
            try:
                return await self._store(target, store_key, new, entry.modified)
            except Mismatch as error:
                if pinned:
                    raise _conflict(target) from error
        raise _conflict(target)

    async def _store(self, target: Target, store_key: str, new: Wire, expect: int) -> Outcome:
        value = encode_stored(new)
        if is_finished(target.resource, new):
            revision = await self._write(Remove(store_key, expect))
        else:
            revision = await self._write(Put(store_key, value, expect))
        return Outcome(value, revision, new)

    async def delete(self, target: Target, options: Wire) -> Outcome:
        """Begin the object's end; the outcome is its last state, or how it is going."""
        store_key = object_key(target.resource.kind, target.key)
        for _ in range(_TRIES_MAX):
            entry = self._newest(target, store_key)
            wire = decode(entry)
            _check_preconditions(wire, options)
            if options.get("dryRun"):
                return Outcome(entry.value, entry.modified, wire)
            old = _without_version(wire)
            going = begin_deletion(target.resource, old, options, self._clock.now())
            try:
                if going is None:
                    revision = await self._write(Remove(store_key, entry.modified))
                    return Outcome(entry.value, revision, old)
                if going == old:
                    return Outcome(entry.value, entry.modified, old)
                value = encode_stored(going)
                revision = await self._write(Put(store_key, value, entry.modified))
                return Outcome(value, revision, going)
            except Mismatch:
                continue
        raise _conflict(target)

    async def move(self, target: Target, change: Change) -> Outcome:
        """Store what ``change`` makes of the object in the namespace it names, in one transaction.

        The object is gone from its old namespace at the moment it appears in the new one.
        """
        kind = target.resource.kind
        old_key = object_key(kind, target.key)
        for _ in range(_TRIES_MAX):
            entry = self._newest(target, old_key)
            moved = change(decode(entry))
            namespace = metadata(moved)["namespace"]
            self._check_namespace(target.tenant, namespace)
            new_key = object_key(kind, target.key._replace(namespace=namespace))
            value = encode_stored(moved)
            ops: list[Put | Remove] = [Put(new_key, value, entry.modified)]
            if new_key != old_key:
                ops = [Remove(old_key, entry.modified), Put(new_key, value, expect=0)]
            try:
                return Outcome(value, await self._write(*ops), moved)
            except KeyExists as error:
                raise _exists(target.resource, target.name) from error
            except Mismatch:
                continue
        raise _conflict(target)

    def _newest(self, target: Target, store_key: str) -> Entry:
        entry = self._backend.get(store_key)
        if entry is None:
            raise _not_found(target)
        return entry

    async def _write(self, *ops: Put | Remove) -> int:
        try:
            events = await self._backend.write(ops)
        except StoreUnavailable as error:
            raise ServiceUnavailable(str(error)) from error
        return events[-1].revision

    def _check_namespace(self, tenant: str, namespace: str) -> None:
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


def selected(resource: Resource, entry: Entry, labels: Selector, fields: Selector) -> bool:
    """Whether the selectors match a stored object."""
    if labels and not labels.matches(labels_in(entry)):
        return False
    return not fields or fields.matches(resource.fields(decode(entry)))


def rendered(target: Target, key: str, entry: Entry, revision: int = 0) -> bytes:
    """A stored object as JSON; one that was asked for across tenants names its own."""
    if target.tenant == ALL_TENANTS:
        return render_with_tenant(parse_key(key)[2].tenant, entry, revision)
    return render(entry, revision)


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
    if not meta.get("name") and target.name:
        meta["name"] = target.name
    if not meta.get("name") and meta.get("generateName"):
        suffix = (secrets.choice(_SUFFIX_ALPHABET) for _ in range(_SUFFIX_LENGTH))
        meta["name"] = meta["generateName"] + "".join(suffix)
    return {**wire, "metadata": meta}


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


def _check_identity(old: Wire, changed: Wire) -> None:
    for field_name in ("name", "namespace"):
        have, wanted = metadata(old).get(field_name), metadata(changed).get(field_name)
        if wanted != have:
            raise BadRequest(f"metadata.{field_name} is {have}, it cannot become {wanted}")
    wanted = uid_of(changed)
    if wanted and wanted != uid_of(old):
        raise Conflict(
            f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {uid_of(old)}"
        )


def _check_preconditions(old: Wire, options: Wire) -> None:
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


def _exists(resource: Resource, name: str) -> AlreadyExists:
    kind = resource.kind
    details = {"name": name, "group": kind.group, "kind": kind.plural}
    return AlreadyExists(f'{kind} "{name}" already exists', details=details)


def _conflict(target: Target) -> Conflict:
    kind = target.resource.kind
    return Conflict(
        f'Operation cannot be fulfilled on {kind} "{target.name}": the object has been modified; '
        "please apply your changes to the latest version and try again",
        details={"name": target.name, "group": kind.group, "kind": kind.plural},
    )
