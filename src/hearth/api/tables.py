"""Objects as the rows that ``kubectl get`` prints.

Source: meta.k8s.io/v1 Table; k8s.io/apimachinery pkg/util/duration for ages.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from hearth.api.meta import Wire, metadata, name_of
from hearth.api.registry import Column, Resource


def _created(wire: Wire) -> Any:
    return metadata(wire).get("creationTimestamp")


_NAME = Column("Name", name_of, description="Name must be unique within a namespace.")
_AGE = Column("Age", _created, "date")


def _columns(resource: Resource) -> list[Column]:
    age = [] if is_ageless(resource) else [_AGE]
    narrow = [c for c in resource.columns if not c.priority]
    wide = [c for c in resource.columns if c.priority]
    return [_NAME, *narrow, *age, *wide]


def is_ageless(resource: Resource) -> bool:
    """Kubernetes adds no age to a custom resource with columns of its own; Knative's name none."""
    is_knatives = resource.kind.group.endswith("knative.dev")
    return resource.kind.plural == "events" or (is_knatives and bool(resource.columns))


def make_table(
    resource: Resource, items: Sequence[Wire], rv: str, now: datetime, *, include: str = "Metadata"
) -> Wire:
    """A Table of the objects.

    Args:
        resource: says which columns.
        items: whole objects.
        rv: the list's resourceVersion, or the object's own for a watch event.
        now: for ages.
        include: what each row carries: ``None``, ``Metadata`` or ``Object``.
    """
    columns = _columns(resource)
    definitions = [
        {
            "name": c.name,
            "type": "string" if c.type == "date" else c.type,
            "format": "name" if c is _NAME else "",
            "description": c.description,
            "priority": c.priority,
        }
        for c in columns
    ]
    rows = [
        {"cells": [_cell(c, wire, now) for c in columns], **_carried(wire, include)}
        for wire in items
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": rv},
        "columnDefinitions": definitions,
        "rows": rows,
    }


def _carried(wire: Wire, include: str) -> Wire:
    if include == "None":
        return {"object": None}
    if include == "Object":
        return {"object": wire}
    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
    return {"object": {**partial, "metadata": metadata(wire)}}


def _cell(column: Column, wire: Wire, now: datetime) -> Any:
    value = column.value(wire)
    if column.type == "date":
        return age_of(value, now) if value else "<unknown>"
    return "" if value is None and column.type == "string" else value


def age_of(since: str, now: datetime) -> str:
    """How long ago an RFC 3339 time was, as kubectl says it: ``45s``, ``3m20s``, ``2d``."""
    begun = datetime.fromisoformat(since.replace("Z", "+00:00")).astimezone(UTC)
    seconds = max(0, int((now - begun).total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 730:
        return f"{days}d"
    return f"{days // 365}y"
