"""Keeps a Revision's PooledReplicaSet and reads its state from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hearth.api.config import AutoscalerConfig, DeploymentConfig, ObservabilityConfig
from hearth.api.kinds import POOLED_REPLICA_SET
from hearth.api.meta import (
    ObjectKey,
    Wire,
    condition_of,
    is_controlled_by,
    is_deleting,
    name_of,
    uid_of,
)
from hearth.client import Client
from hearth.controllers.revision.core.images import Resolution, Resolved, pinned
from hearth.controllers.revision.core.scale import scale_of
from hearth.controllers.revision.core.status import (
    Workload,
    revision_status,
    status_without_images,
)
from hearth.controllers.revision.resources import brought_up_to_date, make_replica_set
from hearth.controllers.writing import Events, Newest, create_or_get
from hearth.kit.clock import Clock
from hearth.kit.times import rfc3339
from hearth.runtime import Informer, Result

#: Index of Pods by the Revision they carry the label of.
BY_REVISION = "revision"


class FindDigests(Protocol):
    """Who finds out which digests a revision's tags have."""

    def of(self, key: ObjectKey, revision: Wire) -> Resolution:
        """What is known; the revision is reconciled again when more is."""
        ...

    def forget(self, key: ObjectKey) -> None:
        """The revision is gone, or on its way out."""
        ...


@dataclass(frozen=True, slots=True)
class RevisionReconciler:
    """Revision → PooledReplicaSet, status."""

    client: Client
    revisions: Newest
    replica_sets: Newest
    pods: Informer  #: indexed :data:`BY_REVISION`
    scaling: Callable[[], AutoscalerConfig]
    deployment: Callable[[], DeploymentConfig]
    digests: FindDigests
    clock: Clock
    events: Events
    observability: Callable[[], ObservabilityConfig] = ObservabilityConfig

    async def reconcile(self, key: ObjectKey) -> Result:
        """Write what is missing; look again at the progress deadline while it deploys."""
        revision = self.revisions.get(key)
        if revision is None or is_deleting(revision):
            self.digests.forget(key)
            return Result()
        now, config = self.clock.now(), self.deployment()
        found = self.digests.of(key, revision)
        if not isinstance(found, Resolved):
            status = status_without_images(revision, found, rfc3339(now))
            self._tell(revision, await self._write(key, revision, status))
            return Result()
        scale = scale_of(revision, self.scaling())
        pins = pinned(revision, found.digests, config.unresolved_registries)
        desired = make_replica_set(revision, scale.first, config, pins)
        replica_set = await self._replica_set(key, revision, desired)
        pods = self.pods.by_index(BY_REVISION, str(key))
        seen = Workload(replica_set, pods, scale, now, rfc3339(now), config, found.digests)
        outcome = revision_status(revision, seen)
        self._tell(revision, await self._write(key, revision, outcome.status))
        return Result(again_after_s=outcome.again_after_s)

    async def _write(self, key: ObjectKey, revision: Wire, status: Wire) -> Wire:
        status = {name: value for name, value in status.items() if name != "logUrl"}
        if template := self.observability().log_url_template:
            status["logUrl"] = template.replace("${REVISION_UID}", uid_of(revision))
        return await self.revisions.write_status(key, revision, status)

    async def _replica_set(self, key: ObjectKey, revision: Wire, desired: Wire) -> Wire:
        existing = self.replica_sets.get(key)
        if existing is None:
            made, _ = await create_or_get(self.client, POOLED_REPLICA_SET, desired)
            return made
        changed = brought_up_to_date(existing, desired)
        if changed is None or not is_controlled_by(existing, revision):
            return existing
        return await self.replica_sets.update(key, changed)

    def _tell(self, was: Wire, now: Wire) -> None:
        before, after = condition_of(was, "Ready") or {}, condition_of(now, "Ready") or {}
        if after.get("status") == "True" and before.get("status") != "True":
            said = "Revision becomes ready upon all resources being ready"
            self.events.record(now, "Normal", "RevisionReady", said)
        elif after.get("status") == "False" and after.get("message") != before.get("message"):
            reason, message = str(after.get("reason")), str(after.get("message") or "")
            self.events.record(now, "Warning", reason, message or f"{name_of(now)} has failed")
