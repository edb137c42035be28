"""What a PATCH makes of an object, and which kinds of patch a resource takes.

Custom resources have no merge keys, so that they take no strategic merge patch; clients such as
``kubectl apply`` choose by what the OpenAPI document offers.

Source: k8s.io/apiserver endpoints/handlers/patch.go; apiextensions-apiserver for custom resources.
"""

from __future__ import annotations

from typing import Any

from hearth.api.errors import BadRequest, UnsupportedMediaType
from hearth.api.meta import Wire
from hearth.api.patches import json_patch, merge_patch, strategic_merge
from hearth.api.registry import Resource

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


def patch_types(resource: Resource) -> tuple[str, ...]:
    """The media types that a PATCH of the resource may have."""
    group = resource.kind.group
    is_custom = "." in group and not group.endswith(".k8s.io")
    strategic = () if is_custom else (STRATEGIC_PATCH,)
    return (JSON_PATCH, MERGE_PATCH, *strategic, APPLY_PATCH)


def check_patch_type(resource: Resource, media: str) -> None:
    """Raises ``UnsupportedMediaType`` for a patch that the resource does not take."""
    accepted = patch_types(resource)
    if media not in accepted:
        raise UnsupportedMediaType(
            "the body of the request was in an unknown format - accepted media types include: "
            + ", ".join(accepted)
        )


def patched(wire: Wire, patch: Any, media: str) -> Wire:
    """The object after a patch of any kind but apply.

    Raises:
        BadRequest: the patch is not of its kind's form.
        Invalid: it does not apply to this object.
    """
    if media == JSON_PATCH:
        return json_patch(wire, patch)
    if not isinstance(patch, dict):
        raise BadRequest(f"a {media} must be an object")
    return dict((strategic_merge if media == STRATEGIC_PATCH else merge_patch)(wire, patch))


def names_version(patch: Any) -> bool:
    """Whether the patch insists on a resourceVersion."""
    if isinstance(patch, list):
        path = "/metadata/resourceVersion"
        return any(isinstance(one, dict) and one.get("path") == path for one in patch)
    meta = patch.get("metadata") if isinstance(patch, dict) else None
    return isinstance(meta, dict) and bool(meta.get("resourceVersion"))
