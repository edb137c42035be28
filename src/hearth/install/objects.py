"""The shape that all installed objects have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hearth.api.kinds import Kind
from hearth.api.meta import Wire

PART_OF = {"app.kubernetes.io/part-of": "hearth"}  #: on everything that is installed
NAME_LABEL = "app.kubernetes.io/name"


def make(
    kind: Kind, name: str, namespace: str = "", *, labels: Mapping[str, str] | None = None,
    **fields: Any,
) -> Wire:  # fmt: skip
    """An object of that kind."""
    meta: Wire = {"name": name, "labels": {**PART_OF, **(labels or {})}}
    if namespace:
        meta["namespace"] = namespace
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, **fields}
