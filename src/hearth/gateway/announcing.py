"""Tells where a gateway is, as Kubernetes does: by Services and their Endpoints.

``hearth-system/gateway`` is where clients of the apps come in. Where requests are held is said by
``knative-serving/activator-service``, as in Knative: the same gateway as seen from inside. They are
of the gateway that was started last.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hearth.api.kinds import CORE_SERVICE, ENDPOINTS
from hearth.api.meta import Wire
from hearth.api.names import (
    ACTIVATOR_SERVICE,
    GATEWAY_SERVICE,
    KNATIVE_NAMESPACE,
    SYSTEM_NAMESPACE,
)
from hearth.client import Client

_ANY_HOST = ("0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a gateway listens."""

    host: str
    http_port: int
    https_port: int
    inside_host: str
    inside_port: int

    @property
    def address(self) -> str:
        """The one to come in at: of all, if it listens on all, the one that pods reach, too."""
        return self.inside_host if self.host in _ANY_HOST else self.host


async def announce(client: Client, place: Place) -> None:
    """Write both Services and their Endpoints."""
    services = make_gateway_service(place), make_activator_service(place)
    written = await asyncio.gather(*(client.apply(CORE_SERVICE, one) for one in services))
    balancer = {"ingress": [{"ip": place.address}]}
    meta = {key: written[0]["metadata"][key] for key in ("name", "namespace")}
    status = {"metadata": meta, "status": {"loadBalancer": balancer}}
    await asyncio.gather(
        client.apply(CORE_SERVICE, status, subresource="status"),
        client.apply(ENDPOINTS, make_activator_endpoints(place)),
    )


def make_gateway_service(place: Place) -> Wire:
    """The Service of what is reached from outside: at the usual ports, and at those of URLs.

    The node ports are the gateway's own.
    """
    known = {
        80: ("http", place.http_port),
        443: ("https", place.https_port),
        place.http_port: ("http-in-urls", place.http_port),
        place.https_port: ("https-in-urls", place.https_port),
    }
    ports = [
        {"name": name, "port": port, "targetPort": own, "nodePort": own}
        for port, (name, own) in known.items()
    ]
    meta = {"name": GATEWAY_SERVICE, "namespace": SYSTEM_NAMESPACE}
    return {"metadata": meta, "spec": {"type": "LoadBalancer", "ports": ports}}


def make_activator_service(place: Place) -> Wire:
    """The Service of what holds requests."""
    ports = [{"name": "http", "port": 80, "targetPort": place.inside_port}]
    meta = {"name": ACTIVATOR_SERVICE, "namespace": KNATIVE_NAMESPACE}
    return {"metadata": meta, "spec": {"ports": ports}}


def make_activator_endpoints(place: Place) -> Wire:
    """Where it holds them."""
    subset = {
        "addresses": [{"ip": place.inside_host}],
        "ports": [{"name": "http", "port": place.inside_port, "protocol": "TCP"}],
    }
    meta = {"name": ACTIVATOR_SERVICE, "namespace": KNATIVE_NAMESPACE}
    return {"metadata": meta, "subsets": [subset]}
