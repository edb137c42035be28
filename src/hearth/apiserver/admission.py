"""Holds new objects against the ResourceQuotas and LimitRanges of their namespace."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from decimal import Decimal

from hearth.api.errors import ApiError, Forbidden
from hearth.api.kinds import CORE_EVENT, EVENT, LEASE, LIMIT_RANGE, POD, RESOURCE_QUOTA, Kind
from hearth.api.meta import ROOT, Wire, name_of, namespace_of, spec_of, status_of
from hearth.api.registry import Resource
from hearth.api.resources import resource_for
from hearth.api.selectors import Selector
from hearth.apiserver.codec import decode
from hearth.apiserver.core.lifecycle import Writer
from hearth.apiserver.core.paths import Target
from hearth.apiserver.core.quotas import (
    beyond,
    excess,
    total,
    usage_of,
    with_defaults,
    written,
)
from hearth.apiserver.objects import Objects
from hearth.kit.clock import Clock
from hearth.kit.times import rfc3339
from hearth.store.core.keys import parse_key, resource_prefix

log = logging.getLogger(__name__)

STATUS_S = 2.0  #: between looks at what quotas should say is used
_NEVER_COUNTED = (CORE_EVENT, EVENT, LEASE)


class Admission:
    """Knows what the namespaces of all tenants have."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._turns: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def completed(self, target: Target, wire: Wire) -> Wire:
        """A new object with what ranges fill in; raises ``Forbidden`` when it is beyond them."""
        if target.resource.kind != POD or not target.namespace:
            return wire
        ranges = await self._all(LIMIT_RANGE, target.tenant, target.namespace)
        if not ranges:
            return wire
        wire = with_defaults(wire, ranges)
        if fault := beyond(wire, ranges):
            raise _forbidden(target.resource.kind, wire, fault)
        return wire

    @contextlib.asynccontextmanager
    async def within_quota(
        self, resource: Resource, tenant: str, namespace: str, wire: Wire
    ) -> AsyncIterator[None]:
        """The block may create the object; others of the namespace wait meanwhile.

        Raises:
            Forbidden: a quota does not allow it.
        """
        kind = resource.kind
        is_counted = namespace and kind not in _NEVER_COUNTED
        quotas = await self._all(RESOURCE_QUOTA, tenant, namespace) if is_counted else []
        wanted = usage_of(kind.plural, kind.group, wire) if quotas else {}
        quotas = [q for q in quotas if wanted.keys() & (spec_of(q).get("hard") or {}).keys()]
        if not quotas:
            yield
            return
        async with self._turns[tenant, namespace]:
            there = await self._all(kind, tenant, namespace)
            used = total(usage_of(kind.plural, kind.group, one) for one in there)
            for quota in quotas:
                spec = spec_of(wire) if kind == POD else {}
                if fault := excess(quota, wanted, used, spec):
                    raise _forbidden(kind, wire, fault)
            yield

    async def used(self, quota: Wire, tenant: str) -> dict[str, str]:
        """What the namespace has of what the quota limits."""
        hard = spec_of(quota).get("hard") or {}
        found: dict[str, Decimal] = {}
        for kind in _counted(hard):
            there = await self._all(kind, tenant, namespace_of(quota))
            found |= total(usage_of(kind.plural, kind.group, one) for one in there)
        return {name: written(name, found.get(name, Decimal(0))) for name in hard}

    async def _all(self, kind: Kind, tenant: str, namespace: str) -> list[Wire]:
        prefix = resource_prefix(kind, tenant, namespace)
        entries, _ = await self._objects.backend.scan(prefix)
        return [decode(entry) for _, entry in entries]


def _counted(hard: Wire) -> set[Kind]:
    """The kinds that a quota's limits are about."""
    kinds: set[Kind] = {POD}
    for name in hard:
        plural, _, group = name.removeprefix("count/").partition(".")
        if name == "requests.storage":
            plural, group = "persistentvolumeclaims", ""
        for version in ("v1", "v1beta1", "v1alpha1"):
            if found := resource_for(group, version, plural):
                kinds.add(found.kind)
    return kinds


def _forbidden(kind: Kind, wire: Wire, fault: str) -> Forbidden:
    name = name_of(wire) or (wire.get("metadata") or {}).get("generateName") or ""
    details = {"name": name, "group": kind.group, "kind": kind.plural}
    return Forbidden(f'{kind} "{name}" is forbidden: {fault}', details=details)


class QuotaStatuses:
    """Keeps what quotas say is used."""

    def __init__(self, objects: Objects, clock: Clock, every_s: float = STATUS_S) -> None:
        self._objects = objects
        self._every_s = every_s
        self._admission = Admission(objects)
        self._clock = clock

    async def run(self) -> None:
        """Look every now and then, until cancelled."""
        resource = resource_for("", "v1", RESOURCE_QUOTA.plural)
        assert resource is not None
        everywhere = Target(ROOT, resource)
        seen = -1
        while True:
            await asyncio.sleep(self._every_s)
            if seen == self._objects.backend.revision:
                continue
            seen = self._objects.backend.revision
            entries, _ = await self._objects.find(everywhere, Selector(), Selector())
            for key, entry in entries:
                own = parse_key(key)[2]
                where = Target(own.tenant, resource, own.namespace, own.name, "status")
                try:
                    await self._write(where, decode(entry))
                except ApiError as error:
                    facts = {"quota": str(own), "because": str(error)}
                    log.warning("quota's status not written", extra={"f": facts})

    async def _write(self, where: Target, quota: Wire) -> None:
        hard = spec_of(quota).get("hard") or {}
        status = {"hard": hard, "used": await self._admission.used(quota, where.tenant)}
        if status == status_of(quota):
            return
        by = Writer("hearth:controller", "quota", rfc3339(self._clock.now()))
        await self._objects.change(where, lambda wire: _without_version(wire, status), by)


def _without_version(wire: Wire, status: Wire) -> Wire:
    meta = {k: v for k, v in wire["metadata"].items() if k != "resourceVersion"}
    return {**wire, "metadata": meta, "status": status}
