"""Resolves a Route's traffic, waits for the gateways, and marks the revisions it refers to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hearth.api.errors import NotFound
from hearth.api.kinds import CONFIGURATION, REVISION, Kind
from hearth.api.meta import (
    ObjectKey,
    Wire,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    resource_version_of,
)
from hearth.api.names import CONFIGURATION_LABEL
from hearth.client import Client
from hearth.controllers.certificates import CertificateKeeper
from hearth.controllers.core.tls import PLAIN, Provisioned, provisioned
from hearth.controllers.route.core.certificates import certificate_types, route_certificates
from hearth.controllers.route.core.domains import Domain
from hearth.controllers.route.core.routing_state import (
    Marked,
    mark_configuration,
    mark_revision,
    may_clear,
    referenced,
)
from hearth.controllers.route.core.status import Seen, route_status
from hearth.controllers.route.core.traffic import BadTarget, Target, Targets, resolve_traffic
from hearth.controllers.route.placeholders import Placeholders
from hearth.controllers.writing import Newest
from hearth.kit.clock import Clock
from hearth.kit.times import rfc3339
from hearth.runtime import Informer, Result

#: Index of Configurations and Revisions by the Routes that their annotation lists.
BY_ROUTE = "route"


@dataclass(frozen=True, slots=True)
class RouteReconciler:
    """Route → status, marks on Revisions and Configurations."""

    client: Client
    services: Informer
    routes: Newest
    configurations: Informer  #: indexed :data:`BY_ROUTE`
    revisions: Informer  #: indexed :data:`BY_ROUTE`
    gateways: Informer  #: the gateways' Leases
    certificates: CertificateKeeper
    placeholders: Placeholders
    domain: Callable[[], Domain]  #: how hosts are named now
    clock: Clock

    async def reconcile(self, key: ObjectKey) -> Result:
        """Write what changed; look again when a gateway that is waited for is given up."""
        route = self.routes.get(key)
        if route is None:
            await self._forget(key)
            return Result()
        if is_deleting(route):
            return Result()
        known = self._targets(key)
        now = self.clock.now()
        traffic, domain = resolve_traffic(route, known), self.domain()
        targets = [] if isinstance(traffic, BadTarget) else traffic
        local = self.placeholders.local_tags(key, route, targets, domain)
        seen = Seen(
            traffic, self.gateways.list(), domain, now, rfc3339(now),
            configuration_of=lambda name: labels_of(known.revision(name) or {}).get(
                CONFIGURATION_LABEL, ""
            ),
            tls=await self._secure(route, traffic, domain, local),
            local=local,
            taken=await self.placeholders.reconcile(key, route, targets, domain) if targets else "",
        )  # fmt: skip
        outcome = route_status(route, seen)
        written = await self.routes.write_status(key, route, outcome.status)
        await self._mark(key, referenced(written, known), clear=may_clear(written))
        return Result(again_after_s=outcome.again_after_s)

    async def _secure(
        self, route: Wire, traffic: list[Target] | BadTarget, domain: Domain, local: frozenset[str]
    ) -> Provisioned:
        types = certificate_types(route, domain.network)
        if isinstance(traffic, BadTarget):
            found = self.certificates.of(route, types)
        else:
            wanted = route_certificates(route, {one.tag for one in traffic}, local, domain)
            found = await self.certificates.keep(route, wanted, types)
        return provisioned(route, found, domain.network) if found else PLAIN

    def _targets(self, key: ObjectKey) -> Targets:
        return Targets(
            configuration=lambda name: self.configurations.get(key._replace(name=name)),
            revision=lambda name: self.revisions.get(key._replace(name=name)),
        )

    async def _forget(self, key: ObjectKey) -> None:
        """Unmark all that the Route, which is gone, had marked."""
        if self.services.get(key) is None:  # else the Route is about to be made
            await self._mark(key, Marked(), clear=True)

    async def _mark(self, key: ObjectKey, marked: Marked, *, clear: bool) -> None:
        at = rfc3339(self.clock.now())
        revisions = self._named(self.revisions, key, marked.revisions)
        configurations = self._named(self.configurations, key, marked.configurations)
        for one in revisions:
            await self._patch(REVISION, one, mark_revision(one, key.name, at, wanted=True))
        for one in configurations:
            await self._patch(CONFIGURATION, one, mark_configuration(one, key.name, wanted=True))
        if not clear:
            return
        for one in self.revisions.by_index(BY_ROUTE, str(key)):
            if name_of(one) not in marked.revisions:
                await self._patch(REVISION, one, mark_revision(one, key.name, at, wanted=False))
        for one in self.configurations.by_index(BY_ROUTE, str(key)):
            if name_of(one) not in marked.configurations:
                patch = mark_configuration(one, key.name, wanted=False)
                await self._patch(CONFIGURATION, one, patch)

    def _named(self, informer: Informer, key: ObjectKey, names: frozenset[str]) -> list[Wire]:
        found = (informer.get(key._replace(name=name)) for name in sorted(names))
        return [one for one in found if one is not None]

    async def _patch(self, kind: Kind, wire: Wire, patch: Wire | None) -> None:
        """Write the patch, if there is one, to an object that is not about to go."""
        if patch is None or is_deleting(wire):
            return
        patch["metadata"]["resourceVersion"] = resource_version_of(wire)
        try:
            await self.client.patch(kind, namespace_of(wire), name_of(wire), patch)
        except NotFound:
            return  # it went meanwhile
