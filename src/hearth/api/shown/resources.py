"""The kinds as the API serves them."""

from __future__ import annotations

from hearth.api.core import Object
from hearth.api.kinds import (
    DEPLOYMENT,
    ENDPOINT_SLICE,
    ENDPOINTS,
    INGRESS,
    POD,
    POD_AUTOSCALER,
    POOLED_REPLICA_SET,
    REVISION,
    ROUTE,
    SERVERLESS_SERVICE,
)
from hearth.api.names import ACTIVATOR_SERVICE, DEPLOYMENT_SUFFIX, KNATIVE_NAMESPACE
from hearth.api.podspec import FreeForm
from hearth.api.registry import Beside, Column, Resource, Shown, alone, at, condition
from hearth.api.shown.endpoints import (
    EndpointSlice,
    endpoint_slice,
    mirrored_slice,
    public_slice,
    serverless_service,
)
from hearth.api.shown.ingress import ingress
from hearth.api.shown.workloads import deployment, pod_autoscaler

_HELD = Beside(ENDPOINTS, KNATIVE_NAMESPACE, ACTIVATOR_SERVICE)


class Described(Object, frozen=True):
    """A kind whose fields are another's to define."""

    spec: FreeForm | None = None
    status: FreeForm | None = None


_READY = (
    Column("Ready", condition("Ready", "status")),
    Column("Reason", condition("Ready", "reason")),
)
_KNATIVE = ("knative-internal",)

RESOURCES = (
    Resource(
        POD_AUTOSCALER, Described, "podautoscaler", ("kpa", "pa"), _KNATIVE, frozenset(),
        (
            Column("DesiredScale", at("status", "desiredScale"), "integer"),
            Column("ActualScale", at("status", "actualScale"), "integer"),
            *_READY,
        ),
        shown=(Shown(REVISION, alone(pod_autoscaler)),),
    ),
    Resource(
        SERVERLESS_SERVICE, Described, "serverlessservice", ("sks",), _KNATIVE, frozenset(),
        (
            Column("Mode", at("spec", "mode")),
            Column("ServiceName", at("status", "serviceName")),
            Column("PrivateServiceName", at("status", "privateServiceName")),
            *_READY,
        ),
        shown=(Shown(POOLED_REPLICA_SET, alone(serverless_service)),),
    ),
    Resource(
        INGRESS, Described, "ingress", ("kingress", "king"), _KNATIVE, frozenset(), _READY,
        shown=(Shown(ROUTE, alone(ingress)),),
    ),
    Resource(
        DEPLOYMENT, Described, "deployment", ("deploy",), (), frozenset(),
        (
            Column("Desired", at("spec", "replicas"), "integer"),
            Column("Ready", at("status", "readyReplicas"), "integer"),
        ),
        shown=(Shown(POOLED_REPLICA_SET, alone(deployment), DEPLOYMENT_SUFFIX),),
    ),
    Resource(
        ENDPOINT_SLICE, EndpointSlice, "endpointslice", (), (), frozenset(),
        (Column("AddressType", at("addressType")),),
        shown=(
            Shown(POD, alone(endpoint_slice)),
            Shown(POOLED_REPLICA_SET, public_slice, beside=_HELD),
            Shown(ENDPOINTS, alone(mirrored_slice)),
        ),
    ),
)  # fmt: skip
