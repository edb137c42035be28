"""Routes and revisions as hosts, weights and clusters: pure.

A revision with traffic or a tag is one cluster, ``TENANT/NAMESPACE/REVISION``. A Route is one
RouteConfiguration with a virtual host for its own names, one per tag and one per DomainMapping that
leads to it. Scaling changes a cluster's endpoints alone.

What hosts a Route has, and whether plain HTTP is redirected, is read from its status: how hosts are
named is the controllers' matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from hearth.api.inside import answers_tls
from hearth.api.meta import (
    ObjectKey,
    Wire,
    annotations_of,
    is_condition_true,
    name_of,
    namespace_of,
    spec_of,
    status_of,
)
from hearth.api.names import (
    CLUSTER_DOMAIN,
    HTTP_PROTOCOL_ANNOTATION,
    TAG_HEADERS_ANNOTATION,
    TAG_HOSTS_ANNOTATION,
    TARGET_ANNOTATION,
)
from hearth.api.pods import app_address, container_port, is_routable, user_container
from hearth.api.serving.annotations import autoscaling_annotations

DEFAULT_TIMEOUT_S = 300  #: Knative's
DEFAULT_BURST_CAPACITY = 211.0  #: Knative's


@dataclass(frozen=True, slots=True)
class Backend:
    """A revision as a cluster."""

    key: ObjectKey
    http2: bool  #: its port is named h2c
    timeout_s: int
    port: int  #: that its app is told to listen on
    limit: int = 0  #: containerConcurrency: requests at once in an instance; 0 is any number
    bursts: bool = True  #: target-burst-capacity is not 0: see ``activator``
    start_s: int = 0  #: responseStartTimeoutSeconds; 0 is none
    idle_s: int = 0  #: idleTimeoutSeconds: between any two bytes of the response; 0 is none
    secure: bool = False  #: its instances are spoken to over TLS

    @property
    def answer_s(self) -> int:
        """When a response must have begun, in seconds after the request.

        Source: Knative's pkg/http/handler/timeout.go: timeoutSeconds, too, ends only what has not
        begun to answer; what has may go on as long as it is not idle.
        """
        return min(limit for limit in (self.timeout_s, self.start_s, self.idle_s) if limit)

    @property
    def cluster(self) -> str:
        """The cluster's name."""
        return cluster_name(self.key)

    @property
    def endpoints(self) -> str:
        """The name of its endpoints: others when they are spoken to in another way."""
        return f"tls/{self.cluster}" if self.secure else self.cluster


@dataclass(frozen=True, slots=True)
class Weight:
    """A share of a host's requests."""

    backend: Backend
    percent: int


@dataclass(frozen=True, slots=True)
class Host:
    """Names under which requests arrive, and where they go."""

    name: str
    public: str  #: reached from outside and inside; empty if there is none
    internal: tuple[str, ...]  #: reached from inside alone
    weights: tuple[Weight, ...]
    redirected: bool = False  #: plain HTTP is sent to HTTPS
    tag: str = ""  #: that it is the host of, where the tag's header is spoken
    by_tag: tuple[tuple[str, tuple[Weight, ...]], ...] = ()  #: what that header picks
    challenges: tuple[tuple[str, str], ...] = ()  #: an ACME server's: paths and what to answer

    @property
    def domains(self) -> tuple[str, ...]:
        """All its names."""
        return (self.public, *self.internal) if self.public else self.internal


def shares(weights: Sequence[Weight]) -> list[tuple[int, tuple[Weight, ...]]]:
    """Revisions by their timeouts, each group with the percentage of it and those before it.

    The last has 100, whatever the weights sum to: a tag may have less while it is rolled out.
    """
    groups: dict[tuple[int, int], list[Weight]] = {}
    for weight in weights:
        backend = weight.backend
        groups.setdefault((backend.answer_s, backend.idle_s), []).append(weight)
    total, upto = sum(weight.percent for weight in weights) or 1, 0
    found = []
    for group in groups.values():
        upto += sum(weight.percent for weight in group)
        found.append((round(upto * 100 / total), tuple(group)))
    return [*found[:-1], (100, found[-1][1])]


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

    def with_challenges(self, find: Callable[[str], tuple[tuple[str, str], ...]]) -> Routing:
        """The same, answering what ``find`` says for each of its public hosts."""
        hosts = tuple(replace(host, challenges=find(host.public)) for host in self.hosts)
        return replace(self, hosts=hosts)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """A cluster's instances; without any its requests are held."""

    name: str
    http2: bool
    addresses: tuple[tuple[str, int], ...]
    admitted: bool = False  #: the activator sends each request to its instance: it has a limit
    secure: bool = False  #: they are spoken to over TLS


@dataclass(frozen=True, slots=True)
class Mapped:
    """A DomainMapping, as the gateway needs it."""

    host: str
    target: ObjectKey  #: the Route it leads to
    redirected: bool


#: Gives a Revision by its key, or None when it is not known (yet).
FindRevision = Callable[[ObjectKey], Wire | None]


def cluster_name(key: ObjectKey) -> str:
    """``TENANT/NAMESPACE/NAME``."""
    return f"{key.tenant}/{key.namespace}/{key.name}"


def parse_cluster_name(name: str) -> ObjectKey:
    """The revision's key of a cluster."""
    return ObjectKey(*name.split("/"))


def make_backend(key: ObjectKey, revision: Wire, *, secure: bool = False) -> Backend:
    """A revision as a cluster; ``secure``: its instances are spoken to over TLS."""
    spec = spec_of(revision)
    ports = user_container(spec).get("ports") or [{}]
    return Backend(
        key,
        http2=ports[0].get("name") == "h2c",
        timeout_s=int(spec.get("timeoutSeconds") or DEFAULT_TIMEOUT_S),
        port=container_port(spec),
        limit=int(spec.get("containerConcurrency") or 0),
        start_s=int(spec.get("responseStartTimeoutSeconds") or 0),
        idle_s=int(spec.get("idleTimeoutSeconds") or 0),
        bursts=_burst_capacity(revision) != 0,
        secure=secure,
    )


def _burst_capacity(revision: Wire) -> float:
    """The annotation target-burst-capacity; one that is not there or cannot be read is not 0."""
    own = autoscaling_annotations(annotations_of(revision))
    try:
        return float(own.get("target-burst-capacity") or DEFAULT_BURST_CAPACITY)
    except ValueError:
        return DEFAULT_BURST_CAPACITY


def make_routing(
    route: Wire,
    tenant: str,
    find: FindRevision,
    mappings: Iterable[Mapped] = (),
    *,
    secure: bool = False,
) -> Routing | None:
    """A Route's hosts; None while it has no traffic or a revision is not known yet."""
    namespace, name = namespace_of(route), name_of(route)
    own: list[Weight] = []
    tagged: dict[str, list[Weight]] = {}
    urls: dict[str, str] = {}
    for target in status_of(route).get("traffic") or ():
        key = ObjectKey(tenant, namespace, str(target.get("revisionName")))
        revision = find(key)
        if revision is None:
            return None
        backend = make_backend(key, revision, secure=secure)
        weight = Weight(backend, int(target.get("percent") or 0))
        if weight.percent:
            own.append(weight)
        if tag := target.get("tag"):
            tagged.setdefault(str(tag), []).append(weight)
            urls[str(tag)] = str(target.get("url") or "")
    redirected, tag_names = is_redirected(route), _tag_names(route)
    by_header = _status_annotations(route).get(TAG_HEADERS_ANNOTATION) == "enabled"
    by_tag = tuple((tag, _whole(each)) for tag, each in sorted(tagged.items()) if by_header)
    hosts = []
    if own:
        public, weights = _public(status_of(route).get("url")), tuple(own)
        inside = _inside(name, namespace)
        hosts.append(Host(name, public, inside, weights, redirected, by_tag=by_tag))
        hosts += [
            Host(one.host, one.host, (), weights, one.redirected, by_tag=by_tag) for one in mappings
        ]
    for tag, tag_weights in sorted(tagged.items()):
        short = tag_names.get(tag, f"{tag}-{name}")
        public, inside = _public(urls[tag]), _inside(short, namespace)
        shares, said = _whole(tag_weights), tag if by_header else ""
        hosts.append(Host(f"{tag}-{name}", public, inside, shares, redirected, said))
    return Routing(ObjectKey(tenant, namespace, name), tuple(hosts)) if hosts else None


def _whole(weights: list[Weight]) -> tuple[Weight, ...]:
    """A tag's own shares: several while a new revision is rolled out, else one that has all."""
    if len(weights) == 1:
        return (replace(weights[0], percent=100),)
    return tuple(one for one in weights if one.percent) or (replace(weights[-1], percent=100),)


def is_redirected(wire: Wire) -> bool:
    """Whether plain HTTP to the hosts of a Route or DomainMapping is sent to HTTPS."""
    return _status_annotations(wire).get(HTTP_PROTOCOL_ANNOTATION) == "redirected"


def make_mapped(mapping: Wire, tenant: str) -> Mapped | None:
    """A DomainMapping's host and the Route that it leads to; None while it has no right to it."""
    target = _status_annotations(mapping).get(TARGET_ANNOTATION)
    if not target or not is_condition_true(mapping, "DomainClaimed"):
        return None
    key = ObjectKey(tenant, namespace_of(mapping), target)
    return Mapped(name_of(mapping), key, is_redirected(mapping))


def _status_annotations(wire: Wire) -> Mapping[str, str]:
    return status_of(wire).get("annotations") or {}


def _tag_names(route: Wire) -> Mapping[str, str]:
    said = _status_annotations(route).get(TAG_HOSTS_ANNOTATION, "")
    return dict(one.split("=", 1) for one in said.split(",") if "=" in one)


def _public(url: str | None) -> str:
    """The host of a URL, unless it is reached from inside alone."""
    host = urlsplit(url or "").hostname or ""
    return "" if host.endswith(f".{CLUSTER_DOMAIN}") else host


def _inside(name: str, namespace: str) -> tuple[str, ...]:
    short = f"{name}.{namespace}"
    return (f"{short}.{CLUSTER_DOMAIN}", f"{short}.svc", short)


def make_endpoints(backend: Backend, pods: Iterable[Wire]) -> Endpoints:
    """The instances among a revision's pods."""
    addresses = sorted(
        app_address(pod, backend.port) for pod in pods if is_reached(pod, secure=backend.secure)
    )
    return Endpoints(
        backend.endpoints, backend.http2, tuple(addresses), bool(backend.limit), backend.secure
    )


def is_reached(pod: Wire, *, secure: bool) -> bool:
    """Whether requests may be sent to the pod; over TLS alone if that is ``secure``."""
    return is_routable(pod) and (answers_tls(pod) or not secure)
