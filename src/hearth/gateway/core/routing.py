"""Routes and revisions as hosts, weights and clusters: pure.

A revision with traffic or a tag is one cluster, ``TENANT/NAMESPACE/REVISION``. A Route is one
RouteConfiguration with a virtual host for its own names and one per tag. Scaling changes a
cluster's endpoints alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hearth.api.meta import ObjectKey, Wire, name_of, namespace_of, spec_of, status_of
from hearth.api.pods import app_address, container_port, is_routable, user_container

DEFAULT_TIMEOUT_S = 300  #: Knative's


@dataclass(frozen=True, slots=True)
class Backend:
    """A revision as a cluster."""

    key: ObjectKey
    http2: bool  #: its port is named h2c
    timeout_s: int
    port: int  #: that its app is told to listen on

    @property
    def cluster(self) -> str:
        """The cluster's name."""
        return cluster_name(self.key)


@dataclass(frozen=True, slots=True)
class Weight:
    """A share of a host's requests."""

    backend: Backend
    percent: int


@dataclass(frozen=True, slots=True)
class Host:
    """Names under which requests arrive, and where they go."""

    name: str
    domains: tuple[str, ...]
    weights: tuple[Weight, ...]

    @property
    def timeout_s(self) -> int:
        """The longest of its revisions' timeouts: a request may reach any of them."""
        return max(weight.backend.timeout_s for weight in self.weights)


@dataclass(frozen=True, slots=True)
class Routing:
    """One Route, as Envoy needs it."""

    key: ObjectKey
    hosts: tuple[Host, ...]

    @property
    def name(self) -> str:
        """The RouteConfiguration's name."""
        return cluster_name(self.key)

    @property
    def backends(self) -> frozenset[Backend]:
        """All revisions it sends requests to."""
        return frozenset(weight.backend for host in self.hosts for weight in host.weights)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """A cluster's instances; without any its requests are held."""

    cluster: str
    http2: bool
    addresses: tuple[tuple[str, int], ...]


#: Gives a Revision by its key, or None when it is not known (yet).
FindRevision = Callable[[ObjectKey], Wire | None]


def cluster_name(key: ObjectKey) -> str:
    """``TENANT/NAMESPACE/NAME``."""
    return f"{key.tenant}/{key.namespace}/{key.name}"


def parse_cluster_name(name: str) -> ObjectKey:
    """The revision's key of a cluster."""
    return ObjectKey(*name.split("/"))


def make_backend(key: ObjectKey, revision: Wire) -> Backend:
    """A revision as a cluster."""
    spec = spec_of(revision)
    ports = user_container(spec).get("ports") or [{}]
    return Backend(
        key,
        http2=ports[0].get("name") == "h2c",
        timeout_s=int(spec.get("timeoutSeconds") or DEFAULT_TIMEOUT_S),
        port=container_port(spec),
    )


def make_routing(route: Wire, tenant: str, find: FindRevision, domain: str) -> Routing | None:
    """A Route's hosts; None while it has no traffic or a revision is not known yet."""
    namespace, name = namespace_of(route), name_of(route)
    own: list[Weight] = []
    tagged: dict[str, Weight] = {}
    for target in status_of(route).get("traffic") or ():
        key = ObjectKey(tenant, namespace, str(target.get("revisionName")))
        revision = find(key)
        if revision is None:
            return None
        backend = make_backend(key, revision)
        if target.get("percent"):
            own.append(Weight(backend, int(target["percent"])))
        if target.get("tag"):
            tagged[str(target["tag"])] = Weight(backend, 100)
    hosts = [
        Host(f"{tag}-{name}", _domains(f"{tag}-{name}", namespace, domain), (weight,))
        for tag, weight in sorted(tagged.items())
    ]
    if own:
        hosts.insert(0, Host(name, _domains(name, namespace, domain), tuple(own)))
    return Routing(ObjectKey(tenant, namespace, name), tuple(hosts)) if hosts else None


def _domains(name: str, namespace: str, domain: str) -> tuple[str, ...]:
    short = f"{name}.{namespace}"
    return (f"{short}.{domain}", f"{short}.svc.cluster.local", f"{short}.svc", short)


def make_endpoints(backend: Backend, pods: Iterable[Wire]) -> Endpoints:
    """The instances among a revision's pods."""
    addresses = sorted(app_address(pod, backend.port) for pod in pods if is_routable(pod))
    return Endpoints(backend.cluster, backend.http2, tuple(addresses))
