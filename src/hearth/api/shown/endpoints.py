"""Where requests to a revision go: ServerlessServices and EndpointSlices.

A revision with room for the burst that it is to be ready for gets its requests directly; for any
other, and for one without a ready pod, they are held where ``activator-service`` says, if need be.
"""

from __future__ import annotations

from collections.abc import Sequence

from hearth.api.core import Object
from hearth.api.kinds import ENDPOINT_SLICE, SERVERLESS_SERVICE
from hearth.api.meta import (
    Wire,
    annotations_of,
    generation_of,
    labels_of,
    metadata,
    name_of,
    spec_of,
    status_of,
    uid_of,
)
from hearth.api.names import PRIVATE_SUFFIX, REVISION_LABEL, SPARE_BURST_ANNOTATION
from hearth.api.naming import child_name
from hearth.api.pods import app_address, is_ready
from hearth.api.podspec import FreeForm
from hearth.api.shown.parts import head, protocol

_SERVICE_NAME_LABEL = "kubernetes.io/service-name"


class EndpointSlice(Object, frozen=True):
    """Addresses of a service's pods."""

    address_type: str | None = None
    endpoints: list[FreeForm] | None = None
    ports: list[FreeForm] | None = None


def serverless_service(replica_set: Wire) -> Wire:
    """The ServerlessService of a revision."""
    since = {"lastTransitionTime": metadata(replica_set).get("creationTimestamp")}
    conditions = [
        {"type": kind, "status": "True", **since}
        for kind in ("EndpointsPopulated", "Ready", "ServicesPopulated")
    ]
    target = {"apiVersion": replica_set.get("apiVersion"), "kind": replica_set.get("kind")}
    spec = {
        "mode": "Serve" if _serves(replica_set) else "Proxy",
        "objectRef": {**target, "name": name_of(replica_set)},
        "protocolType": protocol(spec_of(spec_of(replica_set).get("template") or {})),
    }
    status = {
        "observedGeneration": generation_of(replica_set) or 1,
        "serviceName": name_of(replica_set),
        "privateServiceName": child_name(name_of(replica_set), PRIVATE_SUFFIX),
        "conditions": conditions,
    }
    shown = head(replica_set, SERVERLESS_SERVICE, dict(labels_of(replica_set)))
    return {**shown, "spec": spec, "status": status}


def public_slice(replica_set: Wire, held: Wire | None) -> Wire:
    """Where requests to the revision go; ``held``: the Endpoints of where they are held."""
    if _serves(replica_set):
        places = [one.rpartition(":") for one in status_of(replica_set)["addresses"]]
        ports = {int(port) for _, _, port in places}
        one_port = ports.pop() if len(ports) == 1 else None
        addresses = [ip for ip, _, _ in places]
    else:
        addresses, one_port = _subset(held or {})
    return _slice(replica_set, name_of(replica_set), addresses, one_port)


def mirrored_slice(endpoints: Wire) -> Wire:
    """The EndpointSlice that Kubernetes would mirror an Endpoints to, of its first subset."""
    return _slice(endpoints, name_of(endpoints), *_subset(endpoints))


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
    labels = {**labels_of(pod), _SERVICE_NAME_LABEL: child_name(revision, PRIVATE_SUFFIX)}
    return {
        **head(pod, ENDPOINT_SLICE, labels),
        "addressType": "IPv6" if ":" in ip else "IPv4",
        "endpoints": [endpoint],
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
    }


def _serves(replica_set: Wire) -> bool:
    has_room = annotations_of(replica_set).get(SPARE_BURST_ANNOTATION) == "true"
    return has_room and bool(status_of(replica_set).get("addresses"))


def _subset(endpoints: Wire) -> tuple[list[str], int | None]:
    """Addresses and port of the first subset."""
    subset: Wire = next(iter(endpoints.get("subsets") or ()), {})
    port = next((port.get("port") for port in subset.get("ports") or ()), None)
    return [str(one.get("ip")) for one in subset.get("addresses") or ()], port


def _slice(stored: Wire, service: str, addresses: Sequence[str], port: int | None) -> Wire:
    """A slice of addresses that are ready; without a port where they have several."""
    ready = {"ready": True, "serving": True, "terminating": False}
    labels = {**labels_of(stored), _SERVICE_NAME_LABEL: service}
    return {
        **head(stored, ENDPOINT_SLICE, labels),
        "addressType": "IPv6" if addresses and ":" in addresses[0] else "IPv4",
        "endpoints": [{"addresses": [one], "conditions": ready} for one in addresses],
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}] if port else [],
    }
