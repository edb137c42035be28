"""ConfigMaps that say what is trusted."""

from __future__ import annotations

from hearth.api.kinds import CONFIG_MAP
from hearth.api.meta import Wire, labels_of, metadata
from hearth.api.names import TRUST_LABEL
from hearth.api.trust import CA

TRUST = "hearth-trust"  #: name of the one in each namespace


def make_trust(name: str, namespace: str, text: str) -> Wire:
    """The ConfigMap with that text."""
    return {
        "apiVersion": CONFIG_MAP.api_version,
        "kind": CONFIG_MAP.kind,
        "metadata": {"name": name, "namespace": namespace, "labels": {TRUST_LABEL: "true"}},
        "data": {CA: text},
    }


def brought_up_to_date(existing: Wire, wanted: Wire) -> Wire | None:
    """The existing one with what is wanted; None when it has that."""
    labels = {**labels_of(existing), **labels_of(wanted)}
    if existing.get("data") == wanted["data"] and labels_of(existing) == labels:
        return None
    return {
        **existing,
        "metadata": {**metadata(existing), "labels": labels},
        "data": wanted["data"],
    }
