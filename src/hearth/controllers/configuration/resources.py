"""The Revision of a Configuration's present generation.

Source: knative.dev/serving pkg/reconciler/configuration/resources/revision.go.
"""

from __future__ import annotations

from hearth.api.kinds import REVISION
from hearth.api.meta import (
    Wire,
    annotations_of,
    generation_of,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    spec_of,
    uid_of,
)
from hearth.api.names import (
    CONFIGURATION_GENERATION_LABEL,
    CONFIGURATION_LABEL,
    CONFIGURATION_UID_LABEL,
    CREATOR_ANNOTATION,
    LAST_MODIFIER_ANNOTATION,
    ROUTES_ANNOTATION,
    ROUTING_STATE_LABEL,
    ROUTING_STATE_MODIFIED_ANNOTATION,
    SERVICE_LABEL,
    SERVICE_UID_LABEL,
    SHARD_LABEL,
)
from hearth.api.naming import child_name


def make_revision(configuration: Wire, at: str) -> Wire:
    """The Revision; ``at`` is the RFC 3339 time of its first routing state."""
    template = spec_of(configuration).get("template") or {}
    name = name_of(template) or child_name(
        name_of(configuration), f"-{generation_of(configuration):05d}"
    )
    return {
        "apiVersion": REVISION.api_version,
        "kind": REVISION.kind,
        "metadata": {
            "name": name,
            "namespace": namespace_of(configuration),
            "ownerReferences": [owner_reference(configuration)],
            "labels": _labels(configuration, template),
            "annotations": _annotations(configuration, template, at),
        },
        "spec": spec_of(template),
    }


def _labels(configuration: Wire, template: Wire) -> dict[str, str]:
    above = labels_of(configuration)
    own = {
        CONFIGURATION_LABEL: name_of(configuration),
        CONFIGURATION_UID_LABEL: uid_of(configuration),
        CONFIGURATION_GENERATION_LABEL: str(generation_of(configuration)),
        SERVICE_LABEL: above.get(SERVICE_LABEL, ""),
        SERVICE_UID_LABEL: above.get(SERVICE_UID_LABEL, ""),
        SHARD_LABEL: above.get(SHARD_LABEL, ""),
        # Active from the start where a Route is known: the labeler need not write.
        ROUTING_STATE_LABEL: "active" if _routes(configuration) else "pending",
    }
    return {**labels_of(template), **{name: value for name, value in own.items() if value}}


def _annotations(configuration: Wire, template: Wire, at: str) -> dict[str, str]:
    own = {
        CREATOR_ANNOTATION: annotations_of(configuration).get(LAST_MODIFIER_ANNOTATION, ""),
        ROUTES_ANNOTATION: _routes(configuration),
        ROUTING_STATE_MODIFIED_ANNOTATION: at,
    }
    return {**annotations_of(template), **{name: value for name, value in own.items() if value}}


def _routes(configuration: Wire) -> str:
    return annotations_of(configuration).get(ROUTES_ANNOTATION, "")
