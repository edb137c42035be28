"""Entries of kinds that are not stored, made from those that are: see ``hearth.api.shown``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeAlias

from hearth.api.kinds import Kind
from hearth.api.meta import ObjectKey
from hearth.api.naming import child_name
from hearth.api.registry import Resource
from hearth.apiserver.codec import decode, encode_stored
from hearth.store import Entry, Event
from hearth.store.core.keys import object_key, parse_key

Get: TypeAlias = Callable[[str], Entry | None]  #: the newest value of a store key


def stored_kinds(resource: Resource) -> tuple[Kind, ...]:
    """The kinds under which its objects are in the store."""
    return tuple(one.of for one in resource.shown) or (resource.kind,)


def stored_keys(resource: Resource, key: ObjectKey) -> Iterator[str]:
    """The store keys of what can be shown under a name; one that was cut does not tell."""
    if not resource.shown:
        yield object_key(resource.kind, key)
    for one in resource.shown:
        stored = key.name.removesuffix(one.suffix)
        if child_name(stored, one.suffix) == key.name:
            yield object_key(one.of, key._replace(name=stored))


def shown_entry(resource: Resource, key: str, entry: Entry | None, get: Get) -> Entry | None:
    """What is shown for a stored entry; None for nothing."""
    if entry is None or not resource.shown:
        return entry
    group, plural, own = parse_key(key)
    one = next(one for one in resource.shown if (one.of.group, one.of.plural) == (group, plural))
    beside = None
    if one.beside is not None:
        kind, namespace, name = one.beside
        found = get(object_key(kind, ObjectKey(own.tenant, namespace, name)))
        beside = decode(found) if found is not None else None
    made = one.make(decode(entry), beside)
    return None if made is None else Entry(encode_stored(made), entry.created, entry.modified)


def shown_event(resource: Resource, event: Event, get: Get) -> Event | None:
    """What a stored object's change means for what is shown; None when it means nothing."""
    if not resource.shown:
        return event
    old, new = (shown_entry(resource, event.key, each, get) for each in (event.old, event.new))
    before, after = (None if each is None else each.value for each in (old, new))
    return None if before == after else replace(event, old=old, new=new)
