"""Kinds that others look for and that we do not keep: shown as what our own objects mean.

====================  ==================  ==========================================================
PodAutoscaler         Revision            what it asks of the autoscaler, its scale and conditions
ServerlessService     Revision            whether requests reach its pods or are held
Deployment            PooledReplicaSet    named ``<revision>-deployment`` as Knative's
EndpointSlice         Pod of a revision   one per pod, of the service ``<revision>-private``
====================  ==================  ==========================================================

They are read, listed and watched, never written. Nothing of them is stored: a service at zero
costs no more for them.

Source: knative.dev/serving pkg/apis/autoscaling/v1alpha1 and pkg/reconciler/{revision/resources,
autoscaling,serverlessservice}; knative.dev/networking pkg/apis/networking/v1alpha1.
"""

from __future__ import annotations

import uuid

from hearth.api.core import Object
from hearth.api.kinds import (
    DEPLOYMENT,
    ENDPOINT_SLICE,
    POD,
    POD_AUTOSCALER,
    POOLED_REPLICA_SET,
    REVISION,
    SERVERLESS_SERVICE,
    Kind,
)
from hearth.api.meta import (
    Wire,
    annotations_of,
    condition_of,
    generation_of,
    labels_of,
    metadata,
    name_of,
    owner_reference,
    spec_of,
    status_of,
    uid_of,
)
from hearth.api.names import (
    APP_LABEL,
    AUTOSCALING_PREFIX,
    REVISION_LABEL,
    REVISION_UID_LABEL,
    ROUTE_LABEL,
    ROUTING_STATE_LABEL,
)
from hearth.api.pods import app_address, is_ready, user_container
from hearth.api.podspec import FreeForm
from hearth.api.registry import Column, Resource, Shown, at, condition

DEPLOYMENT_SUFFIX = "-deployment"  #: Knative's name of a revision's Deployment
PRIVATE_SUFFIX = "-private"  #: Knative's name of the service that selects a revision's pods
_SERVICE_NAME_LABEL = "kubernetes.io/service-name"
_REACHABILITY = {"active": "Reachable", "reserve": "Unreachable"}


class Described(Object, frozen=True):
    """A kind whose fields are another's to define."""

    spec: FreeForm | None = None
    status: FreeForm | None = None


class EndpointSlice(Object, frozen=True):
    """Addresses of a service's pods."""

    address_type: str | None = None
    endpoints: list[FreeForm] | None = None
    ports: list[FreeForm] | None = None


def pod_autoscaler(revision: Wire) -> Wire:
    """The PodAutoscaler of a Revision."""
    status = status_of(revision)
    own = {
        "containerConcurrency": spec_of(revision).get("containerConcurrency") or 0,
        "scaleTargetRef": _target(revision),
        "reachability": _reachability(revision),
        "protocolType": _protocol(revision),
    }
    scales = {"desiredScale": status.get("desiredReplicas"), "actualScale": _actual(revision)}
    names = {
        "serviceName": name_of(revision),
        "metricsServiceName": name_of(revision) + PRIVATE_SUFFIX,
    }
    return {
        **_head(revision, POD_AUTOSCALER, _labels(revision)),
        "spec": {name: value for name, value in own.items() if value != ""},
        "status": {
            "observedGeneration": generation_of(revision),
            **names,
            **{name: value for name, value in scales.items() if value is not None},
            "conditions": _autoscaler_conditions(revision),
        },
    }


def serverless_service(revision: Wire) -> Wire:
    """The ServerlessService of a Revision: mode ``Proxy`` while requests are held for it."""
    at_zero = not _actual(revision)
    since = _since(revision, "Active")
    conditions = [
        {"type": kind, "status": "True", **since}
        for kind in ("EndpointsPopulated", "Ready", "ServicesPopulated")
    ]
    spec = {
        "mode": "Proxy" if at_zero else "Serve",
        "objectRef": _target(revision),
        "protocolType": _protocol(revision),
    }
    status = {
        "observedGeneration": generation_of(revision),
        "serviceName": name_of(revision),
        "privateServiceName": name_of(revision) + PRIVATE_SUFFIX,
        "conditions": conditions,
    }
    return {
        **_head(revision, SERVERLESS_SERVICE, _labels(revision)),
        "spec": spec,
        "status": status,
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
        **_head(replica_set, DEPLOYMENT, labels, DEPLOYMENT_SUFFIX),
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


def endpoint_slice(pod: Wire) -> Wire | None:
    """The address of a revision's pod; None for another pod, or one without an address."""
    revision = labels_of(pod).get(REVISION_LABEL)
    if not revision or not status_of(pod).get("podIP"):
        return None
    ip, port = app_address(pod)
    ready = is_ready(pod)
    reference = {"kind": "Pod", "namespace": metadata(pod).get("namespace"), "name": name_of(pod)}
    endpoint = {
        "addresses": [ip],
        "conditions": {"ready": ready, "serving": ready, "terminating": False},
        "targetRef": {**reference, "uid": uid_of(pod)},
    }
    labels = {**labels_of(pod), _SERVICE_NAME_LABEL: revision + PRIVATE_SUFFIX}
    return {
        **_head(pod, ENDPOINT_SLICE, labels),
        "addressType": "IPv6" if ":" in ip else "IPv4",
        "endpoints": [endpoint],
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
    }


def _head(stored: Wire, kind: Kind, labels: dict[str, str], suffix: str = "") -> Wire:
    """``apiVersion``, ``kind`` and metadata; the UID is always the same for the same object."""
    said = {
        name: value
        for name, value in annotations_of(stored).items()
        if kind is POD_AUTOSCALER or not name.startswith(AUTOSCALING_PREFIX)
    }
    uid = uuid.uuid5(uuid.NAMESPACE_OID, f"{uid_of(stored)} {kind}")
    meta = {
        "name": name_of(stored) + suffix,
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


def _protocol(revision: Wire) -> str:
    ports = user_container(spec_of(revision)).get("ports") or [{}]
    return "h2c" if ports[0].get("name") == "h2c" else "http1"


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


_READY = (
    Column("Ready", condition("Ready", "status")),
    Column("Reason", condition("Ready", "reason")),
)

RESOURCES = (
    Resource(
        POD_AUTOSCALER, Described, "podautoscaler", ("kpa", "pa"), ("knative-internal",),
        frozenset(),
        (
            Column("DesiredScale", at("status", "desiredScale"), "integer"),
            Column("ActualScale", at("status", "actualScale"), "integer"),
            *_READY,
        ),
        shown=Shown(REVISION, pod_autoscaler),
    ),
    Resource(
        SERVERLESS_SERVICE, Described, "serverlessservice", ("sks",), ("knative-internal",),
        frozenset(),
        (
            Column("Mode", at("spec", "mode")),
            Column("ServiceName", at("status", "serviceName")),
            Column("PrivateServiceName", at("status", "privateServiceName")),
            *_READY,
        ),
        shown=Shown(REVISION, serverless_service),
    ),
    Resource(
        DEPLOYMENT, Described, "deployment", ("deploy",), (), frozenset(),
        (
            Column("Desired", at("spec", "replicas"), "integer"),
            Column("Ready", at("status", "readyReplicas"), "integer"),
        ),
        shown=Shown(POOLED_REPLICA_SET, deployment, DEPLOYMENT_SUFFIX),
    ),
    Resource(
        ENDPOINT_SLICE, EndpointSlice, "endpointslice", (), (), frozenset(),
        (Column("AddressType", at("addressType")),),
        shown=Shown(POD, endpoint_slice),
    ),
)  # fmt: skip
