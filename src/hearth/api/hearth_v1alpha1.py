"""Our own kinds: PodPool and PooledReplicaSet."""

from __future__ import annotations

from hearth.api.core import Object
from hearth.api.errors import FieldError
from hearth.api.kinds import POD_POOL, POOLED_REPLICA_SET
from hearth.api.meta import Wire, spec_of
from hearth.api.podspec import PodTemplateSpec
from hearth.api.registry import Column, Resource, at
from hearth.api.selectors import selector_of
from hearth.api.views import Condition, LabelSelector, View


class PodPoolSpec(View, frozen=True):
    """Which pods to keep warm, and how many."""

    replicas: int | None = None
    preload: list[str] | None = None
    template: PodTemplateSpec | None = None


class PodPoolStatus(View, frozen=True):
    """How many pods are warm."""

    observed_generation: int | None = None
    replicas: int | None = None
    ready_replicas: int | None = None
    claimed: int | None = None
    conditions: list[Condition] | None = None


class PodPool(Object, frozen=True):
    """Warm pods of one class, each to become an instance of whichever revision claims it."""

    spec: PodPoolSpec | None = None
    status: PodPoolStatus | None = None


class PooledReplicaSetSpec(View, frozen=True):
    """Which pods a revision needs, and how many."""

    replicas: int | None = None
    selector: LabelSelector | None = None
    template: PodTemplateSpec | None = None


class PooledReplicaSetStatus(View, frozen=True):
    """How many pods there are, and where they came from."""

    observed_generation: int | None = None
    replicas: int | None = None
    ready_replicas: int | None = None
    claimed_replicas: int | None = None
    fallback_replicas: int | None = None
    addresses: list[str] | None = None  #: ``IP:PORT`` of those that are ready
    selector: str | None = None
    conditions: list[Condition] | None = None


class PooledReplicaSet(Object, frozen=True):
    """A ReplicaSet that claims warm pods before it creates new ones."""

    spec: PooledReplicaSetSpec | None = None
    status: PooledReplicaSetStatus | None = None


def default_replicas(wire: Wire, old: Wire | None = None) -> Wire:
    """Without a number there are none."""
    return {**wire, "spec": {"replicas": 0, **spec_of(wire)}}


def validate(wire: Wire, old: Wire | None) -> list[FieldError]:
    """Replicas are not negative, and there is a template with a container."""
    spec = spec_of(wire)
    errors = []
    replicas = spec.get("replicas", 0)
    if isinstance(replicas, int) and replicas < 0:
        said = f"Invalid value: {replicas}: must be greater than or equal to 0"
        errors.append(FieldError("spec.replicas", said))
    if not ((spec.get("template") or {}).get("spec") or {}).get("containers"):
        path = "spec.template.spec.containers"
        errors.append(FieldError(path, "Required value", "FieldValueRequired"))
    return errors


def validate_set(wire: Wire, old: Wire | None) -> list[FieldError]:
    """As :func:`validate`; and the selector selects the template's pods and never changes."""
    errors = validate(wire, old)
    spec = spec_of(wire)
    selector = spec.get("selector") or {}
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if not selector_of(selector) or not selector_of(selector).matches(labels):
        said = "Invalid value: the selector must match the template's labels"
        errors.append(FieldError("spec.selector", said))
    if old is not None and spec_of(old).get("selector") != spec.get("selector"):
        errors.append(FieldError("spec.selector", "Invalid value: field is immutable"))
    return errors


RESOURCES = (
    Resource(
        POD_POOL, PodPool, "podpool", ("pp",), ("hearth",), frozenset({"status", "scale"}),
        (
            Column("Desired", at("spec", "replicas"), "integer"),
            Column("Warm", at("status", "readyReplicas"), "integer"),
            Column("Claimed", at("status", "claimed"), "integer"),
        ),
        default_replicas, validate, name_pattern="dns-1035-label",
    ),
    Resource(
        POOLED_REPLICA_SET, PooledReplicaSet, "pooledreplicaset", ("prs",), ("hearth",),
        frozenset({"status", "scale"}),
        (
            Column("Desired", at("spec", "replicas"), "integer"),
            Column("Ready", at("status", "readyReplicas"), "integer"),
            Column("Claimed", at("status", "claimedReplicas"), "integer"),
        ),
        default_replicas, validate_set,
    ),
)  # fmt: skip
