"""Entries of kinds that are not stored, made from those that are: see ``hearth.api.shown``."""

from __future__ import annotations

from dataclasses import replace

from hearth.api.kinds import Kind
from hearth.api.registry import Resource
from hearth.apiserver.codec import decode, encode_stored
from hearth.store import Entry, Event


def stored_kind(resource: Resource) -> Kind:
    """The kind under which its objects are in the store."""
    return resource.shown.of if resource.shown is not None else resource.kind


def stored_name(resource: Resource, name: str) -> str | None:
    """The stored object's name; None when no object can be shown under that name."""
    suffix = resource.shown.suffix if resource.shown is not None else ""
    return name.removesuffix(suffix) if name.endswith(suffix) else None


def shown_entry(resource: Resource, entry: Entry | None) -> Entry | None:
    """What is shown for a stored entry; None for nothing."""
    if entry is None or resource.shown is None:
        return entry
    made = resource.shown.make(decode(entry))
    return None if made is None else replace(entry, value=encode_stored(made))


def shown_event(resource: Resource, event: Event) -> Event | None:
    """What a stored object's change means for what is shown; None when it means nothing."""
    if resource.shown is None:
        return event
    old, new = shown_entry(resource, event.old), shown_entry(resource, event.new)
    before, after = (None if each is None else each.value for each in (old, new))
    return None if before == after else replace(event, old=old, new=new)
