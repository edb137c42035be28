"""The trust controller, and what wakes it."""

from __future__ import annotations

from dataclasses import dataclass

from hearth.api.inside import SERVING_CERTS
from hearth.api.meta import ObjectKey, key_of, labels_of
from hearth.api.names import DOMAIN_CA, SYSTEM_NAMESPACE, TRUST_BUNDLE_LABEL
from hearth.controllers.certificate.authority import Authority
from hearth.controllers.certificates import CertificateKeeper
from hearth.controllers.naming import Naming
from hearth.controllers.trust.reconciler import TrustReconciler
from hearth.controllers.writing import Events
from hearth.runtime import Change, Informer, WorkQueue


@dataclass(frozen=True, slots=True)
class TrustCaches:
    """What the trust controller reads."""

    namespaces: Informer
    published: Informer  #: ConfigMaps that carry our label
    config_maps: Informer  #: those of namespace ``knative-serving``
    revisions: Informer
    certificates: Informer


def make_trust(
    caches: TrustCaches,
    authority: Authority,
    keeper: CertificateKeeper,
    naming: Naming,
    events: Events,
) -> tuple[TrustReconciler, WorkQueue]:
    """The reconciler and its queue."""
    reconciler = TrustReconciler(
        authority.client, caches.namespaces, caches.published, caches.config_maps,
        caches.revisions, authority, keeper, lambda: naming().network, authority.clock, events,
    )  # fmt: skip
    return reconciler, _queue(caches, authority.client.tenant, naming)


def _queue(caches: TrustCaches, tenant: str, naming: Naming) -> WorkQueue:
    queue = WorkQueue()

    def everywhere() -> None:
        for namespace in caches.namespaces.list():
            queue.add(key_of(namespace, tenant))

    def on_published(change: Change) -> None:
        if (change.key.namespace, change.key.name) == (SYSTEM_NAMESPACE, DOMAIN_CA):
            everywhere()
        else:
            queue.add(ObjectKey(tenant, "", change.key.namespace))

    def on_config(change: Change) -> None:
        if any(wire and TRUST_BUNDLE_LABEL in labels_of(wire) for wire in (change.old, change.new)):
            everywhere()

    def on_inner(change: Change) -> None:
        if change.old is None or change.new is None:  # what it is does not matter
            queue.add(ObjectKey(tenant, "", change.key.namespace))

    def on_certificate(change: Change) -> None:
        if change.key.name == SERVING_CERTS:
            on_inner(change)

    caches.namespaces.on_change(lambda change: queue.add(change.key))
    caches.revisions.on_change(on_inner)
    caches.certificates.on_change(on_certificate)
    caches.published.on_change(on_published)
    caches.config_maps.on_change(on_config)
    naming.on_change(everywhere)
    return queue
