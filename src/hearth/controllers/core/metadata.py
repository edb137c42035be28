"""Names, labels and annotations that go from an object to the ones made from it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from hearth.api.meta import Wire, annotations_of, labels_of, metadata
from hearth.api.names import CREATOR_ANNOTATION, LAST_MODIFIER_ANNOTATION

LAST_APPLIED_ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
ROLLOUT_DURATION_ANNOTATIONS = (
    "serving.knative.dev/rollout-duration",
    "serving.knative.dev/rolloutDuration",
)

#: Set by the API server, not by whoever owns the object: their absence is no difference.
_STAMPED = (CREATOR_ANNOTATION, LAST_MODIFIER_ANNOTATION)


def without(values: Mapping[str, str], keys: Collection[str]) -> dict[str, str]:
    """A copy without those keys."""
    return {key: value for key, value in values.items() if key not in keys}


def listed(annotations: Mapping[str, str], name: str) -> list[str]:
    """The values of an annotation that holds a comma-separated list, sorted."""
    return sorted(filter(None, annotations.get(name, "").split(",")))


def differs(existing: Wire, desired: Wire) -> bool:
    """Whether spec, labels or annotations are not as desired."""
    return (
        existing.get("spec") != desired.get("spec")
        or labels_of(existing) != labels_of(desired)
        or _own_annotations(existing, desired) != annotations_of(desired)
    )


def brought_to(existing: Wire, desired: Wire) -> Wire:
    """The existing object with the desired spec, labels and annotations."""
    stamped = {k: v for k, v in annotations_of(existing).items() if k in _STAMPED}
    meta = {
        **metadata(existing),
        "labels": dict(labels_of(desired)),
        "annotations": {**stamped, **annotations_of(desired)},
    }
    return {**existing, "metadata": meta, "spec": desired["spec"]}


def _own_annotations(existing: Wire, desired: Wire) -> dict[str, str]:
    foreign = [name for name in _STAMPED if name not in annotations_of(desired)]
    return without(annotations_of(existing), foreign)
