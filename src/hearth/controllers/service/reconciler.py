"""Brings the Configuration and the Route of a Service to what it says."""

from __future__ import annotations

from dataclasses import dataclass

from hearth.api.kinds import CONFIGURATION, ROUTE
from hearth.api.meta import ObjectKey, Wire, is_controlled_by, is_deleting, name_of, spec_of
from hearth.client import Client
from hearth.controllers.core.metadata import brought_to, differs
from hearth.controllers.service.core.status import Children, Gate, route_gate, service_status
from hearth.controllers.service.resources import make_configuration, make_route
from hearth.controllers.writing import Events, Newest, create_or_get
from hearth.kit.clock import Clock
from hearth.kit.times import rfc3339
from hearth.runtime import Informer, Result


@dataclass(frozen=True, slots=True)
class ServiceReconciler:
    """Service → Configuration, Route, status."""

    client: Client
    services: Newest
    configurations: Newest
    routes: Newest
    revisions: Informer
    clock: Clock
    events: Events

    async def reconcile(self, key: ObjectKey) -> Result:
        """Write what is missing; children that are another's show in the status."""
        service = self.services.get(key)
        if service is None or is_deleting(service):
            return Result()
        children = await self._children(key, service)
        status = service_status(service, children, rfc3339(self.clock.now()))
        await self.services.write_status(key, service, status)
        return Result()

    async def _children(self, key: ObjectKey, service: Wire) -> Children:
        configuration = await self._configuration(key, service)
        named = name_of(spec_of(configuration).get("template") or {})
        revision = self.revisions.get(key._replace(name=named)) if named else None
        gate = route_gate(service, configuration, revision)
        route = await self._route(key, service) if gate is Gate.OPEN else None
        return Children(configuration, gate, route)

    async def _configuration(self, key: ObjectKey, service: Wire) -> Wire:
        existing = self.configurations.get(key)
        if existing is None:
            made, created = await create_or_get(
                self.client, CONFIGURATION, make_configuration(service)
            )
            if created:
                said = f'Created Configuration "{key.name}"'
                self.events.record(service, "Normal", "Created", said)
            return made
        desired = make_configuration(service, existing)
        if not is_controlled_by(existing, service) or not differs(existing, desired):
            return existing
        return await self.configurations.update(key, brought_to(existing, desired))

    async def _route(self, key: ObjectKey, service: Wire) -> Wire:
        existing, desired = self.routes.get(key), make_route(service)
        if existing is None:
            made, created = await create_or_get(self.client, ROUTE, desired)
            if created:
                self.events.record(service, "Normal", "Created", f'Created Route "{key.name}"')
            return made
        if not is_controlled_by(existing, service) or not differs(existing, desired):
            return existing
        return await self.routes.update(key, brought_to(existing, desired))
