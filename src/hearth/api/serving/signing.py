"""Knative notes on an app who created it and who changed it last.

Source: knative.dev/serving pkg/apis/serving/metadata_validation.go (SetUserInfo).
"""

from __future__ import annotations

from hearth.api.kinds import REVISION, SERVING, Kind
from hearth.api.meta import Wire
from hearth.api.names import CREATOR_ANNOTATION, LAST_MODIFIER_ANNOTATION, SYSTEM_NAMESPACE

#: Our own components, which copy the notes from an object's owner: as our API server calls them,
#: and as a cluster does.
_OWN = ("hearth:", f"system:serviceaccount:{SYSTEM_NAMESPACE}:")


def is_own(user: str) -> bool:
    """Whether it is one of our components."""
    return user.startswith(_OWN)


def signed(kind: Kind, meta: Wire, user: str, *, created: bool) -> Wire:
    """The metadata of an object that ``user`` creates, or whose spec they change."""
    if kind.group != SERVING or kind == REVISION or is_own(user):
        return meta
    annotations = {**(meta.get("annotations") or {})}
    if created or CREATOR_ANNOTATION not in annotations:
        annotations[CREATOR_ANNOTATION] = user
    annotations[LAST_MODIFIER_ANNOTATION] = user
    return {**meta, "annotations": annotations}
