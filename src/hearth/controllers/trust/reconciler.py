"""Keeps ConfigMap ``hearth-trust`` in every namespace while names inside have certificates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hearth.api.config import NetworkConfig
from hearth.api.kinds import CONFIG_MAP
from hearth.api.meta import ObjectKey, is_deleting, labels_of
from hearth.api.names import (
    ACME_CERTIFICATE_CLASS,
    DOMAIN_CA,
    OWN_CERTIFICATE_CLASS,
    SYSTEM_NAMESPACE,
    TRUST_LABEL,
)
from hearth.client import Client
from hearth.controllers.certificate.authority import Authority
from hearth.controllers.core.trust import (
    CA,
    TRUST,
    brought_up_to_date,
    bundle,
    bundled,
    make_trust,
)
from hearth.controllers.writing import Events, create_or_get
from hearth.kit.clock import Clock
from hearth.runtime import Informer, Result


@dataclass(frozen=True, slots=True)
class TrustReconciler:
    """Namespace → ConfigMap."""

    client: Client
    namespaces: Informer
    published: Informer  #: ConfigMaps that carry our label
    config_maps: Informer  #: those of namespace ``knative-serving``
    authority: Authority
    network: Callable[[], NetworkConfig]
    clock: Clock
    events: Events

    async def reconcile(self, key: ObjectKey) -> Result:
        """Write the ConfigMap if it is not as it must be; where TLS is disabled it stays."""
        namespace = self.namespaces.get(key)
        if namespace is None or is_deleting(namespace):
            return Result()
        if not self.network().cluster_local_domain_tls:
            return Result()
        wanted = make_trust(TRUST, key.name, bundle(await self._trusted(), self.clock.now()))
        found = self.published.get(ObjectKey(key.tenant, key.name, TRUST))
        if found is None:
            found, _ = await create_or_get(self.client, CONFIG_MAP, wanted)
        if TRUST_LABEL not in labels_of(found):
            said = f"ConfigMap {key.name}/{TRUST} is not ours: it has no label {TRUST_LABEL}"
            self.events.record(namespace, "Warning", "NotOwned", said)
        elif (changed := brought_up_to_date(found, wanted)) is not None:
            await self.client.update(CONFIG_MAP, changed)
        return Result()

    async def _trusted(self) -> list[str]:
        given = [text for one in self.config_maps.list() for text in bundled(one)]
        own = (OWN_CERTIFICATE_CLASS, ACME_CERTIFICATE_CLASS)
        if self.network().certificate_class not in own:
            return given
        found = self.published.get(ObjectKey(self.client.tenant, SYSTEM_NAMESPACE, DOMAIN_CA))
        return [found["data"][CA] if found else await self.authority.trusted(), *given]
