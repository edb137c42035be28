"""The certificate controller: its issuers, and what wakes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hearth.api.config import read_acme
from hearth.api.meta import ObjectKey, Wire, key_of, spec_of
from hearth.api.names import ACME_CERTIFICATE_CLASS, KNATIVE_NAMESPACE, OWN_CERTIFICATE_CLASS
from hearth.controllers.certificate.acme import Acme
from hearth.controllers.certificate.authority import Authority
from hearth.controllers.certificate.core.state import waits
from hearth.controllers.certificate.issuing import Issuer
from hearth.controllers.certificate.reconciler import CertificateReconciler
from hearth.controllers.writing import Events, Newest
from hearth.runtime import Change, Informer, WorkQueue

_ACME_CONFIG = "config-acme"
_BY_SECRET = "secret"
_BY_WAITING = "waiting"
_WAITING = "yes"


@dataclass(frozen=True, slots=True)
class IssuingCaches:
    """What the certificate controller reads."""

    certificates: Informer
    secrets: Informer  #: those of type ``kubernetes.io/tls``
    gateways: Informer  #: the gateways' Leases
    config_maps: Informer  #: those of namespace ``knative-serving``


def make_issuing(
    caches: IssuingCaches, certificates: Newest, authority: Authority, events: Events
) -> tuple[CertificateReconciler, WorkQueue]:
    """The reconciler and its queue."""
    client, clock = authority.client, authority.clock
    name = ObjectKey(client.tenant, KNATIVE_NAMESPACE, _ACME_CONFIG)
    issuers: dict[str, Issuer] = {
        OWN_CERTIFICATE_CLASS: authority,
        ACME_CERTIFICATE_CLASS: Acme(
            client, lambda: read_acme((caches.config_maps.get(name) or {}).get("data") or {})
        ),
    }
    reconciler = CertificateReconciler(
        client, certificates, caches.secrets, caches.gateways, issuers, clock, events
    )
    return reconciler, _queue(client.tenant, caches, reconciler)


def _queue(tenant: str, caches: IssuingCaches, reconciler: CertificateReconciler) -> WorkQueue:
    queue = WorkQueue()

    def secret_of(certificate: Wire) -> list[str]:
        name = str(spec_of(certificate).get("secretName"))
        return [str(key_of(certificate, tenant)._replace(name=name))]

    def add(certificates: Iterable[Wire]) -> None:
        for certificate in certificates:
            queue.add(key_of(certificate, tenant))

    def on_config(change: Change) -> None:
        if change.key.name == _ACME_CONFIG:
            reconciler.try_again()
            add(caches.certificates.list())

    find = caches.certificates.by_index
    caches.certificates.add_index(_BY_SECRET, secret_of)
    caches.certificates.add_index(_BY_WAITING, lambda one: [_WAITING] if waits(one) else [])
    caches.config_maps.on_change(on_config)
    caches.certificates.on_change(lambda change: queue.add(change.key))
    caches.secrets.on_change(lambda change: add(find(_BY_SECRET, str(change.key))))
    caches.gateways.on_change(lambda _: add(find(_BY_WAITING, _WAITING)))
    return queue
