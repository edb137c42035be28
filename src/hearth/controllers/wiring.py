"""Which cache's changes wake which reconciler."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hearth.api.config import (
    DeploymentConfig,
    GcConfig,
    ObservabilityConfig,
    read_deployment,
    read_gc,
    read_observability,
)
from hearth.api.kinds import (
    CERTIFICATE,
    CLUSTER_DOMAIN_CLAIM,
    CONFIG_MAP,
    CONFIGURATION,
    CORE_SERVICE,
    DOMAIN_MAPPING,
    LEASE,
    NAMESPACE,
    NODE,
    POD,
    POOLED_REPLICA_SET,
    REVISION,
    ROUTE,
    SECRET,
    SERVICE,
    Kind,
)
from hearth.api.meta import (
    ObjectKey,
    Wire,
    annotations_of,
    condition_of,
    controller_of,
    is_condition_true,
    key_of,
    labels_of,
    name_of,
    spec_of,
    status_of,
)
from hearth.api.names import (
    CONFIGURATION_LABEL,
    GATEWAY_LABEL,
    KNATIVE_NAMESPACE,
    REVISION_LABEL,
    ROUTE_LABEL,
    ROUTES_ANNOTATION,
    SYSTEM_NAMESPACE,
    TLS_SECRET,
    TRUST_LABEL,
)
from hearth.client import Client
from hearth.controllers.certificate import IssuingCaches, make_issuing
from hearth.controllers.certificate.authority import Authority
from hearth.controllers.certificates import BY_OWNER, CertificateKeeper, owner_uids
from hearth.controllers.configuration import ConfigurationReconciler
from hearth.controllers.configuration.reconciler import BY_CONFIGURATION
from hearth.controllers.core.metadata import listed
from hearth.controllers.domainmapping import DomainMappingReconciler
from hearth.controllers.domainmapping.core.certificates import given_secret
from hearth.controllers.domainmapping.core.status import refers_to, waits
from hearth.controllers.domainmapping.reconciler import BY_HOST, hosts_of
from hearth.controllers.naming import Naming
from hearth.controllers.revision import RevisionReconciler
from hearth.controllers.revision.digests import AskRegistry, Digests
from hearth.controllers.revision.reconciler import BY_REVISION
from hearth.controllers.revision.registry import digest_of
from hearth.controllers.route import RouteReconciler
from hearth.controllers.route.core.domains import Domain
from hearth.controllers.route.placeholders import BY_ROUTE_LABEL, Placeholders
from hearth.controllers.route.reconciler import BY_ROUTE
from hearth.controllers.service import ServiceReconciler
from hearth.controllers.trust import TrustCaches, make_trust
from hearth.controllers.writing import Events, Newest
from hearth.kit.clock import Clock, SystemClock
from hearth.kit.tasks import Part
from hearth.runtime import Change, Informer, Informers, Reconciler, WorkQueue, run_controller
from hearth.runtime.following import Followed
from hearth.runtime.scaling import ScalingConfig

#: Index of Routes by what their traffic names, and by whether they wait for the gateways.
_BY_TARGET = "target"
_BY_WAITING = "waiting"
_WAITING = "yes"
_BY_NAME = "name"
_BY_SECRET = "secret"

_WORKERS = 4  #: objects of a kind that are reconciled at the same time


@dataclass(frozen=True, slots=True)
class _Caches:
    """The informers that the serving controllers read, with their indexes."""

    tenant: str
    services: Informer
    configurations: Informer
    routes: Informer
    revisions: Informer
    replica_sets: Informer
    pods: Informer
    gateways: Informer
    mappings: Informer
    claims: Informer
    config_maps: Informer
    nodes: Informer
    certificates: Informer
    secrets: Informer  #: those with certificates
    placeholders: Informer
    namespaces: Informer
    trusts: Informer  #: ConfigMaps that say what is to be trusted

    @classmethod
    def of(cls, informers: Informers, tenant: str) -> _Caches:
        """Ask for each kind; the shard's selector holds for all but pods and Leases."""
        caches = cls(
            tenant,
            services=informers.of(SERVICE),
            configurations=informers.of(CONFIGURATION),
            routes=informers.of(ROUTE),
            revisions=informers.of(REVISION),
            replica_sets=informers.of(POOLED_REPLICA_SET),
            pods=informers.of(POD, label_selector=REVISION_LABEL),
            gateways=informers.of(LEASE, namespace=SYSTEM_NAMESPACE, label_selector=GATEWAY_LABEL),
            mappings=informers.of(DOMAIN_MAPPING),
            claims=informers.of(CLUSTER_DOMAIN_CLAIM, label_selector=""),
            config_maps=informers.of(CONFIG_MAP, namespace=KNATIVE_NAMESPACE, label_selector=""),
            nodes=informers.of(NODE, label_selector=""),
            certificates=informers.of(CERTIFICATE, label_selector=""),
            secrets=informers.of(SECRET, label_selector="", field_selector=f"type={TLS_SECRET}"),
            placeholders=informers.of(CORE_SERVICE, label_selector=ROUTE_LABEL),
            namespaces=informers.of(NAMESPACE, label_selector=""),
            trusts=informers.of(CONFIG_MAP, label_selector=TRUST_LABEL),
        )
        caches.placeholders.add_index(BY_ROUTE_LABEL, lambda w: caches.labelled(w, ROUTE_LABEL))
        caches.certificates.add_index(BY_OWNER, owner_uids)
        caches.mappings.add_index(_BY_SECRET, caches.given_to)
        caches.configurations.add_index(BY_ROUTE, caches.marked_routes)
        caches.revisions.add_index(BY_ROUTE, caches.marked_routes)
        caches.revisions.add_index(
            BY_CONFIGURATION, lambda wire: caches.labelled(wire, CONFIGURATION_LABEL)
        )
        caches.pods.add_index(BY_REVISION, lambda wire: caches.labelled(wire, REVISION_LABEL))
        caches.routes.add_index(_BY_TARGET, caches.targets)
        caches.routes.add_index(_BY_WAITING, _waiting)
        caches.routes.add_index(BY_HOST, hosts_of)
        caches.mappings.add_index(
            _BY_TARGET, lambda wire: [str(caches.sibling(wire, refers_to(wire)))]
        )
        caches.mappings.add_index(_BY_NAME, lambda wire: [name_of(wire)])
        caches.mappings.add_index(_BY_WAITING, lambda wire: [_WAITING] if waits(wire) else [])
        return caches

    @property
    def for_issuing(self) -> IssuingCaches:
        """What the certificate controller reads."""
        return IssuingCaches(self.certificates, self.secrets, self.gateways, self.config_maps)

    @property
    def for_trust(self) -> TrustCaches:
        """What the trust controller reads."""
        return TrustCaches(
            self.namespaces, self.trusts, self.config_maps, self.revisions, self.certificates
        )

    def sibling(self, wire: Wire, name: str) -> ObjectKey:
        """The key of that name in the object's namespace."""
        return key_of(wire, self.tenant)._replace(name=name)

    def given_to(self, mapping: Wire) -> list[str]:
        """The key, as an index value, of the Secret that a DomainMapping gives."""
        return [str(self.sibling(mapping, name)) for name in (given_secret(mapping),) if name]

    def labelled(self, wire: Wire, label: str) -> list[str]:
        """The key, as an index value, that a label names."""
        return [str(self.sibling(wire, name)) for name in (labels_of(wire).get(label),) if name]

    def marked_routes(self, wire: Wire) -> list[str]:
        """The Routes that an object's annotation lists, as index values."""
        names = listed(annotations_of(wire), ROUTES_ANNOTATION)
        return [str(self.sibling(wire, name)) for name in names]

    def targets(self, route: Wire) -> Iterator[str]:
        """What a Route's traffic names, as index values."""
        wanted, had = spec_of(route).get("traffic") or (), status_of(route).get("traffic") or ()
        for target in (*wanted, *had):
            for kind, field in ((REVISION, "revisionName"), (CONFIGURATION, "configurationName")):
                if target.get(field):
                    yield f"{kind.kind} {self.sibling(route, target[field])}"


def controllers(
    client: Client,
    informers: Informers,
    *,
    domain: str,
    port: int,
    https_port: int = 443,
    inside: str = "",
    events: Events,
    clock: Clock | None = None,
    ask_registry: AskRegistry = digest_of,
) -> list[Part]:
    """The serving controllers as parts; ``informers`` must run beside them.

    Args:
        client: writes as this user.
        informers: caches of the shard.
        domain: suffix of every app's host name, e.g. ``localhost``.
        port: the gateway's, shown in URLs unless it is 80.
        https_port: likewise, unless it is 443.
        inside: the gateways' name inside, where the cluster's DNS needs one.
        events: where to note what was done.
        clock: wall time for conditions, deadlines and Leases.
        ask_registry: which digest an image's tag has.
    """
    caches = _Caches.of(informers, client.tenant)
    clock = clock or SystemClock()
    naming = Naming(Domain(domain, port, https_port, inside=inside), caches.config_maps)
    configurations, routes = Newest(client, caches.configurations), Newest(client, caches.routes)
    certificates = Newest(client, caches.certificates)
    keeper = CertificateKeeper(client, caches.certificates, certificates)
    service = ServiceReconciler(
        client, Newest(client, caches.services), configurations, routes, caches.revisions,
        clock, events,
    )  # fmt: skip
    gc = Followed(caches.config_maps, "config-gc", read_gc)
    configuration = ConfigurationReconciler(
        client, configurations, caches.revisions, clock, events, gc
    )
    placeholders = Placeholders(
        client, caches.placeholders, Newest(client, caches.placeholders), events
    )
    route = RouteReconciler(
        client, caches.services, routes, caches.configurations, caches.revisions,
        caches.gateways, keeper, placeholders, naming, clock,
    )  # fmt: skip
    mapping = DomainMappingReconciler(
        client, Newest(client, caches.mappings), caches.claims, caches.services, caches.routes,
        caches.gateways, caches.secrets, keeper, naming, clock, events,
    )  # fmt: skip
    return [
        _part("service", service, _service_queue(caches), caches),
        _part("configuration", configuration, _configuration_queue(caches, gc), caches),
        *_revision_parts(client, caches, clock, events, ask_registry),
        _part("route", route, _route_queue(caches, naming), caches),
        _part("domain mapping", mapping, _mapping_queue(caches, naming), caches),
        *_tls_parts(caches, Authority(client, clock), keeper, naming, events),
    ]


def _revision_parts(
    client: Client, caches: _Caches, clock: Clock, events: Events, ask_registry: AskRegistry
) -> list[Part]:
    deployment = Followed(caches.config_maps, "config-deployment", read_deployment)
    observability = Followed(caches.config_maps, "config-observability", read_observability)
    digests = Digests(client, caches.nodes, deployment, ask_registry)
    revision = RevisionReconciler(
        client, Newest(client, caches.revisions), Newest(client, caches.replica_sets),
        caches.pods, ScalingConfig(caches.config_maps), deployment, digests, clock, events,
        observability,
    )  # fmt: skip
    queue = _revision_queue(caches, deployment, observability)
    digests.on_news = queue.add
    return [_part("revision", revision, queue, caches), Part("digests", digests.run)]


def _tls_parts(
    caches: _Caches, authority: Authority, keeper: CertificateKeeper, naming: Naming, events: Events
) -> list[Part]:
    issuing = make_issuing(caches.for_issuing, keeper.certificates, authority, events)
    trust = make_trust(caches.for_trust, authority, keeper, naming, events)
    return [_part("certificate", *issuing, caches), _part("trust", *trust, caches)]


def _part(name: str, reconciler: Reconciler, queue: WorkQueue, caches: _Caches) -> Part:
    async def run() -> None:
        for informer in _all(caches):  # a cache that is not full yet looks like nothing is there
            await informer.wait_synced()
        await run_controller(name, reconciler, queue, workers=_WORKERS)

    return Part(f"{name} controller", run)


def _all(caches: _Caches) -> Iterable[Informer]:
    return (
        caches.services, caches.configurations, caches.routes, caches.revisions,
        caches.replica_sets, caches.pods, caches.gateways, caches.mappings, caches.claims,
        caches.config_maps, caches.nodes, caches.certificates, caches.secrets,
        caches.placeholders, caches.namespaces, caches.trusts,
    )  # fmt: skip


def _service_queue(caches: _Caches) -> WorkQueue:
    queue = WorkQueue()
    for informer in (caches.services, caches.configurations, caches.routes):
        informer.on_change(lambda change: queue.add(change.key))  # all three have one name
    return queue


def _configuration_queue(caches: _Caches, gc: Followed[GcConfig]) -> WorkQueue:
    queue = WorkQueue()

    def on_gc() -> None:
        for configuration in caches.configurations.list():
            queue.add(key_of(configuration, caches.tenant))

    def on_revision(change: Change) -> None:
        if name := labels_of(change.object).get(CONFIGURATION_LABEL):
            queue.add(change.key._replace(name=name))

    caches.configurations.on_change(lambda change: queue.add(change.key))
    caches.revisions.on_change(on_revision)
    gc.on_change(on_gc)
    return queue


def _revision_queue(
    caches: _Caches,
    deployment: Followed[DeploymentConfig],
    observability: Followed[ObservabilityConfig],
) -> WorkQueue:
    queue = WorkQueue()

    def all_revisions() -> None:
        for revision in caches.revisions.list():
            queue.add(key_of(revision, caches.tenant))

    def on_pod(change: Change) -> None:
        if name := labels_of(change.object).get(REVISION_LABEL):
            queue.add(change.key._replace(name=name))

    caches.revisions.on_change(lambda change: queue.add(change.key))
    caches.replica_sets.on_change(lambda change: queue.add(change.key))
    caches.pods.on_change(on_pod)
    deployment.on_change(all_revisions)
    observability.on_change(all_revisions)
    return queue


def _route_queue(caches: _Caches, naming: Naming) -> WorkQueue:
    queue = WorkQueue()

    def all_routes() -> None:
        for route in caches.routes.list():
            queue.add(key_of(route, caches.tenant))

    def add_routes(index: str, value: str) -> None:
        for route in caches.routes.by_index(index, value):
            queue.add(key_of(route, caches.tenant))

    def on_configuration(change: Change) -> None:
        add_routes(_BY_TARGET, f"{CONFIGURATION.kind} {change.key}")

    def on_revision(change: Change) -> None:
        if not _matters_to_routes(change):
            return
        add_routes(_BY_TARGET, f"{REVISION.kind} {change.key}")
        for value in caches.labelled(change.object, CONFIGURATION_LABEL):
            add_routes(_BY_TARGET, f"{CONFIGURATION.kind} {value}")
        for name in listed(annotations_of(change.object), ROUTES_ANNOTATION):
            queue.add(change.key._replace(name=name))  # it may be gone: then its mark goes too

    caches.routes.on_change(lambda change: queue.add(change.key))

    def on_placeholder(change: Change) -> None:
        if name := labels_of(change.object).get(ROUTE_LABEL):
            queue.add(change.key._replace(name=name))

    caches.configurations.on_change(on_configuration)
    caches.placeholders.on_change(on_placeholder)
    caches.revisions.on_change(on_revision)
    caches.gateways.on_change(lambda _: add_routes(_BY_WAITING, _WAITING))
    caches.certificates.on_change(lambda change: _add_owner(queue, change, ROUTE))
    naming.on_change(all_routes)
    return queue


def _mapping_queue(caches: _Caches, naming: Naming) -> WorkQueue:
    queue = WorkQueue()

    def add(mappings: Iterable[Wire]) -> None:
        for mapping in mappings:
            queue.add(key_of(mapping, caches.tenant))

    def on_claim(change: Change) -> None:
        add(caches.mappings.by_index(_BY_NAME, change.key.name))
        if namespace := spec_of(change.object).get("namespace"):  # its mapping may be gone
            queue.add(change.key._replace(namespace=namespace))

    def on_route(change: Change) -> None:
        add(caches.mappings.by_index(_BY_TARGET, str(change.key)))
        for host in {host for wire in (change.old, change.new) if wire for host in hosts_of(wire)}:
            add(caches.mappings.by_index(_BY_NAME, host))

    def on_service(change: Change) -> None:
        add(caches.mappings.by_index(_BY_TARGET, str(change.key)))

    caches.mappings.on_change(lambda change: queue.add(change.key))
    caches.claims.on_change(on_claim)
    caches.routes.on_change(on_route)
    caches.services.on_change(on_service)
    caches.certificates.on_change(lambda change: _add_owner(queue, change, DOMAIN_MAPPING))
    caches.secrets.on_change(
        lambda change: add(caches.mappings.by_index(_BY_SECRET, str(change.key)))
    )
    waiting = caches.mappings.by_index
    caches.gateways.on_change(lambda _: add(waiting(_BY_WAITING, _WAITING)))
    naming.on_change(lambda: add(caches.mappings.list()))
    return queue


def _add_owner(queue: WorkQueue, change: Change, kind: Kind) -> None:
    owner = controller_of(change.object) or {}
    if owner.get("kind") == kind.kind:
        queue.add(change.key._replace(name=str(owner.get("name"))))


def _matters_to_routes(change: Change) -> bool:
    """Whether more than a revision's scale has changed."""
    if change.old is None or change.new is None:
        return True
    return any(
        look(change.old) != look(change.new)
        for look in (labels_of, annotations_of, lambda wire: condition_of(wire, "Ready"))
    )


def _waiting(route: Wire) -> list[str]:
    return [] if is_condition_true(route, "IngressReady") else [_WAITING]
