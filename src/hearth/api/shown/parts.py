"""What shown objects have in common."""

from __future__ import annotations

import uuid

from hearth.api.kinds import POD_AUTOSCALER, Kind
from hearth.api.meta import (
    Wire,
    annotations_of,
    generation_of,
    metadata,
    name_of,
    owner_reference,
    uid_of,
)
from hearth.api.names import AUTOSCALING_PREFIX
from hearth.api.naming import child_name
from hearth.api.pods import user_container


def head(stored: Wire, kind: Kind, labels: dict[str, str], suffix: str = "") -> Wire:
    """``apiVersion``, ``kind`` and metadata; the UID is always the same for the same object."""
    said = {
        name: value
        for name, value in annotations_of(stored).items()
        if kind is POD_AUTOSCALER or not name.startswith(AUTOSCALING_PREFIX)
    }
    uid = uuid.uuid5(uuid.NAMESPACE_OID, f"{uid_of(stored)} {kind}")
    meta = {
        "name": child_name(name_of(stored), suffix),
        "namespace": metadata(stored).get("namespace"),
        "uid": str(uid),
        "resourceVersion": metadata(stored).get("resourceVersion"),
        "generation": generation_of(stored) or 1,
        "creationTimestamp": metadata(stored).get("creationTimestamp"),
        "labels": labels,
        "annotations": said,
        "ownerReferences": [owner_reference(stored)],
    }
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta}


def protocol(pod_spec: Wire) -> str:
    """Knative's word for what the app speaks."""
    ports = user_container(pod_spec).get("ports") or [{}]
    return "h2c" if ports[0].get("name") == "h2c" else "http1"
