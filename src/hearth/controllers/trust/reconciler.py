"""Keeps what each namespace needs for TLS inside.

While names inside have certificates: ConfigMap ``hearth-trust``, what apps are to trust. While
requests go to instances over TLS, where there are Revisions: the Certificate of its instances.

Source of the latter: knative.dev/serving pkg/reconciler/revision/resources/certificate.go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hearth.api.config import NetworkConfig
from hearth.api.kinds import CONFIG_MAP
from hearth.api.meta import ObjectKey, Wire, is_deleting, labels_of
from hearth.api.names import (
    ACME_CERTIFICATE_CLASS,
    DOMAIN_CA,
    OWN_CERTIFICATE_CLASS,
    SYSTEM_INTERNAL,
    SYSTEM_NAMESPACE,
    TRUST_LABEL,
)
from hearth.api.trust import CA, bundle, bundled
from hearth.client import Client
from hearth.controllers.certificate.authority import Authority
from hearth.controllers.certificates import CertificateKeeper
from hearth.controllers.core.tls import make_serving_certificate
from hearth.controllers.core.trust import TRUST, brought_up_to_date, make_trust
from hearth.controllers.writing import Events, create_or_get
from hearth.kit.clock import Clock
from hearth.runtime import Informer, Result


@dataclass(frozen=True, slots=True)
class TrustReconciler:
    """Namespace → ConfigMap, Certificate."""

    client: Client
    namespaces: Informer
    published: Informer  #: ConfigMaps that carry our label
    config_maps: Informer  #: those of namespace ``knative-serving``
    revisions: Informer
    authority: Authority
    certificates: CertificateKeeper
    network: Callable[[], NetworkConfig]
    clock: Clock
    events: Events

    async def reconcile(self, key: ObjectKey) -> Result:
        """Write what is not as it must be; what is there stays where TLS is disabled."""
        namespace = self.namespaces.get(key)
        if namespace is None or is_deleting(namespace):
            return Result()
        network = self.network()
        if network.cluster_local_domain_tls:
            await self._publish(key, namespace)
        if network.system_internal_tls and self.revisions.list(key.name):
            wanted = make_serving_certificate(namespace, network)
            await self.certificates.keep(namespace, [wanted], (SYSTEM_INTERNAL,))
        return Result()

    async def _publish(self, key: ObjectKey, namespace: Wire) -> None:
        wanted = make_trust(TRUST, key.name, bundle(await self._trusted(), self.clock.now()))
        found = self.published.get(ObjectKey(key.tenant, key.name, TRUST))
        if found is None:
            found, _ = await create_or_get(self.client, CONFIG_MAP, wanted)
        if TRUST_LABEL not in labels_of(found):
            said = f"ConfigMap {key.name}/{TRUST} is not ours: it has no label {TRUST_LABEL}"
            self.events.record(namespace, "Warning", "NotOwned", said)
        elif (changed := brought_up_to_date(found, wanted)) is not None:
            await self.client.update(CONFIG_MAP, changed)

    async def _trusted(self) -> list[str]:
        given = [text for one in self.config_maps.list() for text in bundled(one)]
        own = (OWN_CERTIFICATE_CLASS, ACME_CERTIFICATE_CLASS)
        if self.network().certificate_class not in own:
            return given
        found = self.published.get(ObjectKey(self.client.tenant, SYSTEM_NAMESPACE, DOMAIN_CA))
        return [found["data"][CA] if found else await self.authority.trusted(), *given]
