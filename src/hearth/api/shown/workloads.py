"""PodAutoscalers and Deployments."""

from __future__ import annotations

from hearth.api.kinds import (
    DEPLOYMENT,
    POD_AUTOSCALER,
    POOLED_REPLICA_SET,
)
from hearth.api.meta import (
    Wire,
    condition_of,
    generation_of,
    labels_of,
    name_of,
    spec_of,
    status_of,
    uid_of,
)
from hearth.api.names import (
    APP_LABEL,
    DEPLOYMENT_SUFFIX,
    PRIVATE_SUFFIX,
    REVISION_LABEL,
    REVISION_UID_LABEL,
    ROUTE_LABEL,
    ROUTING_STATE_LABEL,
)
from hearth.api.naming import child_name
from hearth.api.shown.parts import head, protocol

_REACHABILITY = {"active": "Reachable", "reserve": "Unreachable"}


def pod_autoscaler(revision: Wire) -> Wire:
    """The PodAutoscaler of a Revision."""
    status = status_of(revision)
    own = {
        "containerConcurrency": spec_of(revision).get("containerConcurrency") or 0,
        "scaleTargetRef": _target(revision),
        "reachability": _reachability(revision),
        "protocolType": protocol(spec_of(revision)),
    }
    scales = {"desiredScale": status.get("desiredReplicas"), "actualScale": _actual(revision)}
    names = {
        "serviceName": name_of(revision),
        "metricsServiceName": child_name(name_of(revision), PRIVATE_SUFFIX),
    }
    return {
        **head(revision, POD_AUTOSCALER, _labels(revision)),
        "spec": {name: value for name, value in own.items() if value != ""},
        "status": {
            "observedGeneration": generation_of(revision),
            **names,
            **{name: value for name, value in scales.items() if value is not None},
            "conditions": _autoscaler_conditions(revision),
        },
    }


def deployment(replica_set: Wire) -> Wire:
    """The Deployment that a PooledReplicaSet stands for."""
    spec, status = spec_of(replica_set), status_of(replica_set)
    wanted, have = int(spec.get("replicas") or 0), int(status.get("replicas") or 0)
    ready = int(status.get("readyReplicas") or 0)
    failure = condition_of(replica_set, "ReplicaFailure") or {}
    available = {"type": "Available", "status": "True" if ready >= wanted else "False"}
    progressing = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
    counts = {
        "replicas": have,
        "updatedReplicas": have,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": max(0, max(wanted, have) - ready),
    }
    labels = dict(labels_of(replica_set))
    return {
        **head(replica_set, DEPLOYMENT, labels, DEPLOYMENT_SUFFIX),
        "spec": {
            "replicas": wanted,
            "selector": spec.get("selector") or {},
            "template": spec.get("template") or {},
        },
        "status": {
            "observedGeneration": status.get("observedGeneration") or 0,
            **{name: count for name, count in counts.items() if count},
            "conditions": [available, progressing, *([failure] if failure else [])],
        },
    }


def _labels(revision: Wire) -> dict[str, str]:
    name = name_of(revision)
    kept = {
        label: value
        for label, value in labels_of(revision).items()
        if label not in (ROUTE_LABEL, ROUTING_STATE_LABEL)
    }
    own = {REVISION_LABEL: name, REVISION_UID_LABEL: uid_of(revision)}
    return {APP_LABEL: name, **kept, **own}


def _target(revision: Wire) -> Wire:
    kind = POOLED_REPLICA_SET
    return {"apiVersion": kind.api_version, "kind": kind.kind, "name": name_of(revision)}


def _actual(revision: Wire) -> int:
    return int(status_of(revision).get("actualReplicas") or 0)


def _reachability(revision: Wire) -> str:
    """Knative's: a revision that fails and has no ready pod is not reachable either."""
    failed = any(
        (condition_of(revision, kind) or {}).get("status") == "False"
        for kind in ("ContainerHealthy", "ResourcesAvailable")
    )
    if failed and status_of(revision).get("desiredReplicas") and not _actual(revision):
        return "Unreachable"
    return _REACHABILITY.get(labels_of(revision).get(ROUTING_STATE_LABEL, ""), "")


def _since(revision: Wire, kind: str) -> Wire:
    found = condition_of(revision, kind) or {}
    since = found.get("lastTransitionTime")
    return {"lastTransitionTime": since} if since else {}


def _autoscaler_conditions(revision: Wire) -> list[Wire]:
    """Active as the Revision's; the scale target is initialised once the revision came up."""
    available = (condition_of(revision, "ResourcesAvailable") or {}).get("status") == "True"
    active = condition_of(revision, "Active") or {"type": "Active", "status": "Unknown"}
    active = {name: value for name, value in active.items() if name != "severity"}
    if active["status"] == "Unknown":
        said = "Requests to the target are being buffered as resources are provisioned."
        active |= {"reason": "Queued", "message": said}
    came_up = {"status": "True" if available else "Unknown", **_since(revision, "ContainerHealthy")}
    dependents = [
        active,
        {"type": "ScaleTargetInitialized", **came_up},
        {"type": "SKSReady", "status": "True", **_since(revision, "Active")},
    ]
    unhappy = [
        one for status in ("False", "Unknown") for one in dependents if one["status"] == status
    ]
    ready = {**unhappy[0], "type": "Ready"} if unhappy else {**active, "type": "Ready"}
    return sorted([*dependents, ready], key=lambda one: str(one["type"]))
