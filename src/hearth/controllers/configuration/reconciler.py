"""Makes the Revision of a Configuration's present generation and finds the newest ready one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from hearth.api.config import GcConfig
from hearth.api.errors import BadRequest, Conflict, Forbidden, Invalid, NotFound
from hearth.api.kinds import REVISION
from hearth.api.meta import (
    ObjectKey,
    Wire,
    is_controlled_by,
    is_deleting,
    name_of,
    spec_of,
    status_of,
    uid_of,
)
from hearth.client import Client
from hearth.controllers.configuration.core.garbage import garbage
from hearth.controllers.configuration.core.revisions import (
    NameTaken,
    latest_created,
    latest_ready,
    named_revision,
)
from hearth.controllers.configuration.core.status import configuration_status, failed_status
from hearth.controllers.configuration.resources import make_revision
from hearth.controllers.writing import Events, Newest, create_or_get
from hearth.kit.clock import Clock
from hearth.kit.times import rfc3339
from hearth.runtime import Informer, Result

#: Index of Revisions by the Configuration they carry the label of.
BY_CONFIGURATION = "configuration"


@dataclass(frozen=True, slots=True)
class ConfigurationReconciler:
    """Configuration → Revision, status."""

    client: Client
    configurations: Newest
    revisions: Informer  #: indexed :data:`BY_CONFIGURATION`
    clock: Clock
    events: Events
    gc: Callable[[], GcConfig] = GcConfig

    async def reconcile(self, key: ObjectKey) -> Result:
        """Write what is missing; a name that is taken shows in the status."""
        configuration = self.configurations.get(key)
        if configuration is None or is_deleting(configuration):
            return Result()
        status = await self._status(key, configuration)
        await self.configurations.write_status(key, configuration, status)
        self._tell(configuration, status)
        return Result(again_after_s=await self._collect(key, configuration, status))

    async def _collect(self, key: ObjectKey, configuration: Wire, status: Wire) -> float | None:
        """Remove revisions that nobody needs; returns when to look again."""
        revisions = self.revisions.by_index(BY_CONFIGURATION, str(key))
        latest = [status.get(f"latest{which}RevisionName") or "" for which in ("Created", "Ready")]
        gone, again_s = garbage(revisions, latest, self.gc(), self.clock.now())
        for revision in gone:
            name = name_of(revision)
            with suppress(NotFound, Conflict):  # a revision that was replaced meanwhile stays
                await self.client.delete(REVISION, key.namespace, name, uid=uid_of(revision))
                said = f'Removed Revision "{name}": it is stale, or one of too many (config-gc)'
                self.events.record(configuration, "Normal", "RevisionCollected", said)
        return again_s

    async def _status(self, key: ObjectKey, configuration: Wire) -> Wire:
        at = rfc3339(self.clock.now())
        revisions = self.revisions.by_index(BY_CONFIGURATION, str(key))
        try:
            created = await self._created(key, configuration, revisions, at)
        except (BadRequest, Forbidden, Invalid) as error:  # trying again cannot help
            said = f"Failed to create Revision: {error}"
            self.events.record(configuration, "Warning", "CreationFailed", said)
            return failed_status(configuration, str(error), at)
        if isinstance(created, NameTaken):
            return failed_status(configuration, f'{REVISION} "{created.name}" already exists', at)
        ready = latest_ready(configuration, revisions, created)
        return configuration_status(configuration, created, ready, at)

    async def _created(
        self, key: ObjectKey, configuration: Wire, revisions: list[Wire], at: str
    ) -> Wire | NameTaken:
        """The revision of this generation, made if it is missing.

        Raises:
            ApiError: the API refused it, or is about to remove another of its name.
        """
        named = name_of(spec_of(configuration).get("template") or {})
        if named:
            found = named_revision(configuration, self.revisions.get(key._replace(name=named)))
        else:
            found = latest_created(configuration, revisions)
        if found is not None:
            return found
        desired = make_revision(configuration, at)
        made, created = await create_or_get(self.client, REVISION, desired)
        if created:
            said = f'Created Revision "{name_of(made)}"'
            self.events.record(configuration, "Normal", "Created", said)
            return made
        return _met(configuration, made)

    def _tell(self, configuration: Wire, status: Wire) -> None:
        was, now = status_of(configuration), status
        latest = now.get("latestReadyRevisionName")
        if latest != was.get("latestReadyRevisionName"):
            said = f'LatestReadyRevisionName updated to "{latest}"'
            self.events.record(configuration, "Normal", "LatestReadyUpdate", said)


def _met(configuration: Wire, met: Wire) -> Wire | NameTaken:
    """What a revision is that was there though the cache did not show it.

    Raises:
        Conflict: one of that name is on its way out; try again.
    """
    if name_of(spec_of(configuration).get("template") or {}):
        return named_revision(configuration, met) or NameTaken(name_of(met))
    if is_controlled_by(met, configuration) and latest_created(configuration, [met]):
        return met
    raise Conflict(f'{REVISION} "{name_of(met)}" already exists')
