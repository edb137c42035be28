"""Claims a DomainMapping's host, resolves what it leads to, and waits for the gateways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from hearth.api.errors import NotFound
from hearth.api.kinds import CLUSTER_DOMAIN_CLAIM
from hearth.api.meta import ObjectKey, Wire, is_deleting, spec_of, status_of
from hearth.client import Client
from hearth.controllers.certificates import CertificateKeeper
from hearth.controllers.core.tls import PLAIN, Provisioned, provisioned, wants_certificates
from hearth.controllers.domainmapping.core.certificates import (
    given,
    given_secret,
    mapping_certificate,
)
from hearth.controllers.domainmapping.core.reference import UnresolvedError, resolve
from hearth.controllers.domainmapping.core.status import Seen, mapping_status
from hearth.controllers.domainmapping.resources import is_autocreated, make_claim
from hearth.controllers.route.core.domains import Domain
from hearth.controllers.writing import Events, Newest, create_or_get
from hearth.kit.clock import Clock
from hearth.kit.times import rfc3339
from hearth.runtime import Informer, Result

#: Index of Routes by the hosts that their status says.
BY_HOST = "host"


def hosts_of(route: Wire) -> list[str]:
    """The hosts of a Route and its tags, as its status says."""
    status = status_of(route)
    urls = [status.get("url"), *(one.get("url") for one in status.get("traffic") or ())]
    return sorted({urlsplit(url).hostname or "" for url in urls if url})


@dataclass(frozen=True, slots=True)
class DomainMappingReconciler:
    """DomainMapping → ClusterDomainClaim, status."""

    client: Client
    mappings: Newest
    claims: Informer
    services: Informer
    routes: Informer  #: indexed :data:`BY_HOST`
    gateways: Informer  #: the gateways' Leases
    secrets: Informer  #: those with certificates
    certificates: CertificateKeeper
    domain: Callable[[], Domain]  #: how hosts are named now
    clock: Clock
    events: Events

    async def reconcile(self, key: ObjectKey) -> Result:
        """Write what changed; look again when a gateway that is waited for is given up."""
        mapping = self.mappings.get(key)
        if mapping is None:
            await self._release(key)
            return Result()
        if is_deleting(mapping):
            return Result()
        claimed = await self._claim(key, mapping)
        target, unresolved = "", ""
        try:
            target = resolve(mapping, lambda kind, name: self._find(key, kind, name))
        except UnresolvedError as error:
            unresolved = str(error)
        now = self.clock.now()
        tls = await self._secure(key, mapping, claimed=claimed)
        seen = Seen(
            claimed, tls, target, unresolved, self.domain(), self.gateways.list(), now, rfc3339(now)
        )
        outcome = mapping_status(mapping, seen)
        await self.mappings.write_status(key, mapping, outcome.status)
        return Result(again_after_s=_sooner(outcome.again_after_s, tls.until, now))

    async def _secure(self, key: ObjectKey, mapping: Wire, *, claimed: bool) -> Provisioned:
        network = self.domain().network
        if name := given_secret(mapping):
            await self.certificates.keep(mapping, [])
            secret = self.secrets.get(key._replace(name=name))
            return given(mapping, name, secret, self.clock.now())
        if not claimed or not wants_certificates(mapping, network):
            return PLAIN  # what is there stays: an issuer limits how often it is asked
        wanted = mapping_certificate(mapping, network)
        return provisioned(mapping, await self.certificates.keep(mapping, [wanted]), network)

    def _find(self, key: ObjectKey, kind: str, name: str) -> Wire | None:
        found = self.services if kind == "Service" else self.routes
        return found.get(key._replace(name=name))

    async def _claim(self, key: ObjectKey, mapping: Wire) -> bool:
        """Whether the mapping's namespace has its host; makes the claim if that is allowed."""
        if self.routes.by_index(BY_HOST, key.name):
            said = f'host "{key.name}" is the host of a Route already'
            self.events.record(mapping, "Warning", "InternalError", said)
            return False
        claim = self.claims.get(ObjectKey(key.tenant, "", key.name))
        if claim is None and not self.domain().network.autocreate_domain_claims:
            said = (
                f'no ClusterDomainClaim found for domain "{key.name}" '
                "(and autocreate-cluster-domain-claims property is not true)"
            )
            self.events.record(mapping, "Warning", "InternalError", said)
            return False
        if claim is None:
            claim, _ = await create_or_get(self.client, CLUSTER_DOMAIN_CLAIM, make_claim(mapping))
        if spec_of(claim).get("namespace") == key.namespace:
            return True
        said = f'namespace "{key.namespace}" does not own ClusterDomainClaim for "{key.name}"'
        self.events.record(mapping, "Warning", "InternalError", said)
        return False

    async def _release(self, key: ObjectKey) -> None:
        """A claim that was made for a mapping goes with it."""
        claim = self.claims.get(ObjectKey(key.tenant, "", key.name))
        if claim is None or not is_autocreated(claim):
            return
        if spec_of(claim).get("namespace") != key.namespace:
            return
        try:
            await self.client.delete(CLUSTER_DOMAIN_CLAIM, "", key.name)
        except NotFound:
            return


def _sooner(again_after_s: float | None, until: datetime | None, now: datetime) -> float | None:
    """When to look again: then, or when the certificate ends."""
    if until is None:
        return again_after_s
    ends_s = (until - now).total_seconds() + 1
    return ends_s if again_after_s is None else min(again_after_s, ends_s)
