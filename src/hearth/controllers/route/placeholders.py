"""Keeps the core Services that stand for a Route and its tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hearth.api.errors import NotFound
from hearth.api.kinds import CORE_SERVICE
from hearth.api.meta import ObjectKey, Wire, is_controlled_by, is_deleting, name_of, namespace_of
from hearth.client import Client
from hearth.controllers.route.core.domains import BadHostError, Domain
from hearth.controllers.route.core.placeholders import (
    brought_up_to_date,
    local_tags,
    make_placeholders,
)
from hearth.controllers.route.core.traffic import Target
from hearth.controllers.writing import Events, Newest, create_or_get
from hearth.runtime import Informer

#: Index of core Services by the Route whose label they carry.
BY_ROUTE_LABEL = "route label"


@dataclass(frozen=True, slots=True)
class Placeholders:
    """Route → core Services."""

    client: Client
    services: Informer  #: core Services with a Route's label, indexed :data:`BY_ROUTE_LABEL`
    newest: Newest  #: the same
    events: Events

    def local_tags(
        self, key: ObjectKey, route: Wire, targets: Sequence[Target], domain: Domain
    ) -> frozenset[str]:
        """The tags, and ``""`` for the Route's own host, that a user keeps from the outside."""
        services = self.services.by_index(BY_ROUTE_LABEL, str(key))
        return local_tags(route, {target.tag for target in targets}, services, domain)

    async def reconcile(
        self, key: ObjectKey, route: Wire, targets: Sequence[Target], domain: Domain
    ) -> str:
        """Make those that are missing, remove those of tags that are gone.

        Returns:
            The name of one that is another's; empty when there is none.
        """
        try:
            wanted = make_placeholders(route, targets, domain)
        except BadHostError:
            return ""  # the status says so
        for desired in wanted:
            if not await self._keep(key._replace(name=name_of(desired)), route, desired):
                return name_of(desired)
        names = {name_of(one) for one in wanted}
        for one in self.services.by_index(BY_ROUTE_LABEL, str(key)):
            if name_of(one) not in names and is_controlled_by(one, route) and not is_deleting(one):
                await self._remove(one)
        return ""

    async def _keep(self, key: ObjectKey, route: Wire, desired: Wire) -> bool:
        """Whether it is there and the Route's."""
        existing = self.newest.get(key)
        if existing is None:
            existing, created = await create_or_get(self.client, CORE_SERVICE, desired)
            if created:
                said = f'Created placeholder service "{key.name}"'
                self.events.record(route, "Normal", "Created", said)
        if not is_controlled_by(existing, route):
            return False
        if changed := brought_up_to_date(existing, desired):
            await self.newest.update(key, changed)
        return True

    async def _remove(self, service: Wire) -> None:
        try:
            await self.client.delete(CORE_SERVICE, namespace_of(service), name_of(service))
        except NotFound:
            return
