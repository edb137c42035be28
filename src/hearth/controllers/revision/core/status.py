"""The status of a Revision, from its PooledReplicaSet and its pods.

====================  ==============================================================================
ContainerHealthy      False from a failure until a pod is ready; True once the revision came up
ResourcesAvailable    True once the revision came up: it has had its initial scale ready at one time
Active                True with enough ready pods, False (``NoTraffic``) at zero; informs only
Ready                 the first two; scaling to zero does not touch it
====================  ==============================================================================

A failure counts only while no pod is ready (Knative reports a ReplicaFailure beside ready pods as
well): a revision that serves is available.

Source: knative.dev/serving pkg/apis/serving/v1/revision_lifecycle.go and
pkg/reconciler/autoscaling/kpa/kpa.go (computeActiveCondition).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from hearth.api.config import DeploymentConfig
from hearth.api.meta import (
    Wire,
    condition_of,
    generation_of,
    is_controlled_by,
    name_of,
    spec_of,
    status_of,
)
from hearth.controllers.core.conditions import Conditions, living
from hearth.controllers.revision.core.diagnosis import (
    Failure,
    failure_of_pods,
    failure_of_set,
)
from hearth.controllers.revision.core.images import (
    Resolving,
    Unresolvable,
    container_statuses,
    is_resolved,
)
from hearth.controllers.revision.core.scale import Scale

ACTIVE = "Active"
CONTAINER_HEALTHY = "ContainerHealthy"
RESOURCES_AVAILABLE = "ResourcesAvailable"
REVISION_CONDITIONS = living(CONTAINER_HEALTHY, RESOURCES_AVAILABLE)

_DEPLOYING = "Deploying"
_TIMED_OUT = "ProgressDeadlineExceeded"


@dataclass(frozen=True, slots=True)
class Workload:
    """What runs a revision, as observed."""

    replica_set: Wire
    pods: Sequence[Wire]
    scale: Scale
    now: datetime  #: UTC
    at: str  #: ``now`` as RFC 3339
    config: DeploymentConfig = field(default_factory=DeploymentConfig)
    digests: Mapping[str, str] = field(default_factory=dict)  #: found out just now, by image

    @property
    def wanted(self) -> int:
        """Pods there should be."""
        return int(spec_of(self.replica_set).get("replicas") or 0)

    @property
    def ready(self) -> int:
        """Pods that answer, as the PooledReplicaSet counts them."""
        return int(status_of(self.replica_set).get("readyReplicas") or 0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The new status, and when to look again though nothing changed."""

    status: Wire
    again_after_s: float | None = None


def revision_status(revision: Wire, seen: Workload) -> Outcome:
    """The new status of the revision."""
    conditions = Conditions(REVISION_CONDITIONS, revision, seen.at)
    if not is_resolved(revision):  # what was wrong with its images is not any more
        conditions.mark_unknown(CONTAINER_HEALTHY, _DEPLOYING, "")
    status = {
        **status_of(revision),
        "observedGeneration": generation_of(revision),
        **container_statuses(revision, seen.pods, seen.digests, seen.config.unresolved_registries),
    }
    if not is_controlled_by(seen.replica_set, revision):
        name = name_of(seen.replica_set)
        said = f'There is an existing PooledReplicaSet "{name}" that we do not own.'
        conditions.mark_false(RESOURCES_AVAILABLE, "NotOwned", said)
        return Outcome({**status, "conditions": conditions.to_wire()})
    status |= {"actualReplicas": seen.ready, "desiredReplicas": seen.wanted}
    was_initialized = _was_initialized(revision)
    threshold = seen.scale.ready_threshold(initialized=was_initialized)
    initialized = was_initialized or seen.ready >= threshold
    left_s = None if initialized or not seen.wanted else _time_left_s(revision, seen)
    failure = _failure(seen, timed_out=left_s is not None and left_s <= 0)
    _mark_container(conditions, seen, failure, initialized=initialized)
    _mark_resources(conditions, seen, failure, initialized=initialized, left_s=left_s)
    _mark_active(conditions, seen, threshold, initialized=initialized)
    again = left_s if left_s is not None and left_s > 0 else None
    return Outcome({**status, "conditions": conditions.to_wire()}, again)


def status_without_images(revision: Wire, found: Resolving | Unresolvable, at: str) -> Wire:
    """The status of a revision whose images are not known to be there."""
    conditions = Conditions(REVISION_CONDITIONS, revision, at)
    match found:
        case Resolving():
            conditions.mark_unknown(RESOURCES_AVAILABLE, "ResolvingDigests", "")
        case Unresolvable(message):
            conditions.mark_false(CONTAINER_HEALTHY, "ContainerMissing", message)
    observed = {"observedGeneration": generation_of(revision)}
    return {**status_of(revision), **observed, "conditions": conditions.to_wire()}


def _mark_container(
    conditions: Conditions, seen: Workload, failure: Failure | None, *, initialized: bool
) -> None:
    if seen.ready > 0:
        conditions.mark_true(CONTAINER_HEALTHY)
    elif failure is not None and failure.of_container:
        conditions.mark_false(CONTAINER_HEALTHY, failure.reason, failure.message)
    elif conditions.is_false(CONTAINER_HEALTHY):
        return  # until a pod is ready, the last failure stands
    elif initialized:
        conditions.mark_true(CONTAINER_HEALTHY)
    else:
        conditions.mark_unknown(CONTAINER_HEALTHY, _DEPLOYING, "")


def _mark_resources(
    conditions: Conditions,
    seen: Workload,
    failure: Failure | None,
    *,
    initialized: bool,
    left_s: float | None,
) -> None:
    was = conditions.get(RESOURCES_AVAILABLE) or {}
    if failure is not None and not failure.of_container:
        conditions.mark_false(RESOURCES_AVAILABLE, failure.reason, failure.message)
    elif initialized:
        conditions.mark_true(RESOURCES_AVAILABLE)
    elif was.get("reason") == _TIMED_OUT:
        return  # until it comes up after all
    elif left_s is not None and left_s <= 0:
        said = f'PooledReplicaSet "{name_of(seen.replica_set)}" has timed out progressing.'
        conditions.mark_false(RESOURCES_AVAILABLE, _TIMED_OUT, said)
    elif seen.wanted == 0 and not conditions.is_false(CONTAINER_HEALTHY):
        said = "Initial scale was never achieved"
        conditions.mark_false(RESOURCES_AVAILABLE, _TIMED_OUT, said)
    else:
        conditions.mark_unknown(RESOURCES_AVAILABLE, _DEPLOYING, "")


def _mark_active(
    conditions: Conditions, seen: Workload, threshold: int, *, initialized: bool
) -> None:
    idle = "NoTraffic", "The target is not receiving traffic."
    if seen.wanted == 0 or threshold == 0:
        if conditions.is_unknown(ACTIVE) and threshold > 0:
            conditions.mark_false(ACTIVE, "TimedOut", "The target could not be activated.")
        elif not conditions.is_false(ACTIVE):
            conditions.mark_false(ACTIVE, *idle)
    elif seen.ready >= threshold:
        conditions.mark_true(ACTIVE)
    elif initialized:
        said = "Requests to the target are being buffered as resources are provisioned."
        conditions.mark_unknown(ACTIVE, "Queued", said)
    else:
        conditions.mark_unknown(ACTIVE, _DEPLOYING, "")


def _failure(seen: Workload, *, timed_out: bool) -> Failure | None:
    if seen.ready > 0:
        return None
    of_set = failure_of_set(seen.replica_set)
    if of_set is not None or seen.wanted == 0:
        return of_set
    pods = seen.pods
    if seen.config.always_schedulable:  # a node will come for the others
        pods = [pod for pod in pods if spec_of(pod).get("nodeName")]
    return failure_of_pods(pods, timed_out=timed_out)


def _was_initialized(revision: Wire) -> bool:
    """Whether it has come up once, as far as its conditions tell."""
    available = condition_of(revision, RESOURCES_AVAILABLE) or {}
    active = condition_of(revision, ACTIVE) or {}
    return (
        available.get("status") == "True"
        or active.get("status") == "True"
        or active.get("reason") in ("NoTraffic", "Queued")
    )


def _time_left_s(revision: Wire, seen: Workload) -> float:
    """Seconds until the progress deadline; it counts from when the revision began to deploy."""
    was = condition_of(revision, RESOURCES_AVAILABLE) or {}
    if was.get("reason") != _DEPLOYING or "lastTransitionTime" not in was:
        return seen.scale.progress_deadline_s
    since = datetime.fromisoformat(was["lastTransitionTime"])
    return seen.scale.progress_deadline_s - (seen.now - since).total_seconds()
