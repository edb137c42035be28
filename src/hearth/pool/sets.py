"""The reconciler of PooledReplicaSets."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from hearth.api.activation import Activation, ActivationError, ActivationFailure
from hearth.api.errors import Conflict, NotFound
from hearth.api.kinds import POD, POOLED_REPLICA_SET
from hearth.api.meta import (
    ObjectKey,
    Wire,
    annotations_of,
    controller_of,
    generation_of,
    is_deleting,
    key_of,
    labels_of,
    merge_conditions,
    metadata,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
)
from hearth.api.names import CLAIMED_AT_ANNOTATION, PODPOOL_LABEL
from hearth.api.pods import app_address, container_port, is_finished, is_ready, is_routable
from hearth.client import Client
from hearth.kit.clock import Clock
from hearth.kit.tasks import TaskGroup
from hearth.kit.times import rfc3339
from hearth.pool.claiming import Claiming, InstanceGone
from hearth.pool.core import claims as core
from hearth.pool.core.scaling import (
    EARLY_S,
    change_set,
    count_set,
    is_resting,
    trouble_of,
    was_killed,
)
from hearth.pool.core.scaling import Change as Plan
from hearth.runtime import Change, Informers, Result, WorkQueue

log = logging.getLogger(__name__)

PROMISE_S = 5.0  #: how long an activation may be ahead of the set's spec
FORGIVEN_S = 10.0  #: after an instance was killed early, another one counts as not starting
_OWNER = "owner"

#: Requests in flight by instance (``ip:port``) of a revision.
BusyInstances: TypeAlias = Callable[[ObjectKey], Mapping[str, float]]


@dataclass(slots=True)
class _Promise:
    """Instances that an activation asked for and the spec does not show yet."""

    replicas: int
    until_s: float


class Sets:
    """Keeps each set at its number of pods. Belongs to one event loop."""

    def __init__(
        self, client: Client, informers: Informers, claiming: Claiming, clock: Clock
    ) -> None:
        self._client = client
        self._claiming = claiming
        self._clock = clock
        self.queue = WorkQueue()
        self._sets = informers.of(POOLED_REPLICA_SET)
        self._pods = claiming.pods
        self._pods.add_index(_OWNER, _owner_uid)
        self._sets.on_change(self._set_changed)
        self._pods.on_change(self._pod_changed)
        self._tasks = TaskGroup(ActivationError)
        self._coming: defaultdict[ObjectKey, set[asyncio.Task[Activation]]] = defaultdict(set)
        self._fresh: defaultdict[ObjectKey, dict[str, Activation]] = defaultdict(dict)
        self._promises: dict[ObjectKey, _Promise] = {}
        self.busy: BusyInstances = lambda key: {}  #: what is known of their load
        #: the last instance that was killed early, and when
        self._forgiven: dict[ObjectKey, tuple[str, float]] = {}
        self._news: defaultdict[ObjectKey, asyncio.Event] = defaultdict(asyncio.Event)

    # Activation

    async def ensure(self, key: ObjectKey, replicas: int) -> Activation:
        """At least ``replicas`` instances, and the first that is ready.

        Raises:
            ActivationError: there can be none.
        """
        wanted = max(1, replicas)
        try:
            return await self._ensure(key, wanted)
        finally:
            self._promises[key] = _Promise(wanted, self._clock.monotonic_s() + PROMISE_S)

    async def _ensure(self, key: ObjectKey, wanted: int) -> Activation:
        while True:
            replica_set = await self._find(key)
            self._promises[key] = _Promise(wanted, math.inf)  # as long as someone waits
            if (ready := self._an_instance(key, replica_set)) is not None:
                return ready
            for _ in range(wanted - self._count(key, replica_set)):
                self._start_claim(key, replica_set)
            if self._coming[key]:
                if (got := await self._first(key)) is not None:
                    return got
                continue
            if trouble := trouble_of(self._alive(replica_set)):
                raise ActivationError(ActivationFailure(503, *trouble))
            await self._news[key].wait()

    async def _find(self, key: ObjectKey) -> Wire:
        replica_set = self._sets.get(key)
        if replica_set is None:
            try:
                replica_set = await self._client.get(POOLED_REPLICA_SET, key.namespace, key.name)
            except NotFound as error:
                failure = ActivationFailure(404, "RevisionMissing", f"revision {key}: {error}")
                raise ActivationError(failure) from error
        if is_deleting(replica_set):
            failure = ActivationFailure(404, "RevisionMissing", f"revision {key}: is being deleted")
            raise ActivationError(failure)
        return replica_set

    def _an_instance(self, key: ObjectKey, replica_set: Wire) -> Activation | None:
        port = container_port(spec_of(spec_of(replica_set).get("template") or {}))
        for pod in self._pods_of(replica_set):
            if is_routable(pod):
                ip, own_port = app_address(pod, port)
                where = f"{namespace_of(pod)}/{name_of(pod)}"
                return Activation(where, f"{ip}:{own_port}", {}, "ready")
        known = self._known(replica_set)  # whose own status says how they are
        return next((got for name, got in self._fresh[key].items() if name not in known), None)

    def _count(self, key: ObjectKey, replica_set: Wire) -> int:
        """The instances that are there or coming, without those that rest though they work."""
        known = self._known(replica_set)
        alive = [pod for pod in self._alive(replica_set) if not is_resting(pod)]
        fresh = sum(name not in known for name in self._fresh[key])
        return len(alive) + fresh + len(self._coming[key])

    def _alive(self, replica_set: Wire) -> list[Wire]:
        pods = self._pods_of(replica_set)
        return [pod for pod in pods if not is_finished(pod) and not is_deleting(pod)]

    def _known(self, replica_set: Wire) -> set[str]:
        return {f"{namespace_of(pod)}/{name_of(pod)}" for pod in self._pods_of(replica_set)}

    async def _first(self, key: ObjectKey) -> Activation | None:
        """The first claim of the revision that succeeds; raises the last failure when none does.

        None: what was coming is gone through no fault of its own.
        """
        waiting = set(self._coming[key])
        failure = None
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = None if task.cancelled() else task.exception()
                if not task.cancelled() and error is None:
                    return task.result()
                if isinstance(error, ActivationError) and not isinstance(error, InstanceGone):
                    failure = error.failure
        if failure is not None:
            raise ActivationError(failure)
        return None

    def _start_claim(self, key: ObjectKey, replica_set: Wire) -> None:
        task = self._tasks.start(self._claim(key, replica_set), name=f"claim {key}")
        self._coming[key].add(task)

    async def _claim(self, key: ObjectKey, replica_set: Wire) -> Activation:
        task = asyncio.current_task()
        assert task is not None
        try:
            got = await self._claiming.claim(replica_set)
            self._fresh[key][got.pod] = got
            asyncio.get_running_loop().call_later(PROMISE_S, self._fresh[key].pop, got.pod, None)
            return got
        finally:
            self._coming[key].discard(task)
            self.queue.add(key)

    # Reconciling

    async def reconcile(self, key: ObjectKey) -> Result:
        """Claim, create or delete what is missing or too much; then say how it stands."""
        replica_set = self._sets.get(key)
        if replica_set is None or is_deleting(replica_set):
            self._forget(key)
            return Result()
        pods = self._pods_of(replica_set)
        pause_s = self._pause_s(key)  # one look: what waits for it now must be looked at after it
        plan = self._plan(key, replica_set, pods, pause_s)
        for _ in range(plan.create):
            self._start_claim(key, replica_set)
        for name in plan.delete:
            await self._delete(replica_set, name)
        await self._write_status(key, replica_set, pods)
        return Result(again_after_s=self._again_after_s(key, pause_s))

    def _plan(self, key: ObjectKey, replica_set: Wire, pods: list[Wire], pause_s: float) -> Plan:
        self._note_early_ends(key, pods)
        wanted = int(spec_of(replica_set).get("replicas") or 0)
        promise = self._promises.get(key)
        if promise is not None:
            if wanted >= promise.replicas or self._clock.monotonic_s() > promise.until_s:
                del self._promises[key]
            else:
                wanted = promise.replicas
        known = self._known(replica_set)
        fresh = sum(name not in known for name in self._fresh[key])
        busy = self._busy_pods(key, replica_set, pods) if wanted < len(pods) else {}
        plan = change_set(pods, len(self._coming[key]) + fresh, wanted, busy)
        backing_off = self._claiming.claims.failure_of(key) is not None
        if plan.create and backing_off:  # one at a time, each after its pause, until it works
            create = 0 if self._coming[key] or pause_s else 1
            return Plan(create, plan.delete)
        return plan

    def _busy_pods(self, key: ObjectKey, replica_set: Wire, pods: list[Wire]) -> dict[str, float]:
        """Requests in flight by the pod's name."""
        port = container_port(spec_of(spec_of(replica_set).get("template") or {}))
        busy = self.busy(key)
        addresses = {name_of(pod): "{}:{}".format(*app_address(pod, port)) for pod in pods}
        return {name: busy.get(address, 0.0) for name, address in addresses.items()}

    def _pause_s(self, key: ObjectKey) -> float:
        return self._claiming.claims.pause_s(key, self._clock.monotonic_s())

    def _again_after_s(self, key: ObjectKey, pause_s: float) -> float | None:
        if pause_s:
            return pause_s
        return 1.0 if key in self._promises else None

    def _note_early_ends(self, key: ObjectKey, pods: list[Wire]) -> None:
        """A pod that ended right after its claim counts as a failure to start."""
        for pod in pods:
            if not is_finished(pod) or is_deleting(pod):
                continue
            if (trouble := trouble_of([pod])) and _lived_s(pod) < EARLY_S:
                now = self._clock.monotonic_s()
                if not self._forgives(key, pod, now):
                    self._claiming.claims.on(core.AppFailed(key, core.Failure(*trouble), now))

    def _forgives(self, key: ObjectKey, pod: Wire, now: float) -> bool:
        """Whether the app is not to blame: it was killed, and not the one before it as well."""
        uid, at_s = self._forgiven.get(key, ("", -FORGIVEN_S))
        if not was_killed(pod):
            return False
        if uid != uid_of(pod) and now - at_s >= FORGIVEN_S:
            uid, _ = self._forgiven[key] = uid_of(pod), now
        return uid == uid_of(pod)

    async def _delete(self, replica_set: Wire, name: str) -> None:
        self._fresh[key_of(replica_set)].pop(f"{namespace_of(replica_set)}/{name}", None)
        try:
            await self._client.delete(POD, namespace_of(replica_set), name)
        except NotFound:
            return

    def _forget(self, key: ObjectKey) -> None:
        self._claiming.claims.on(core.Forgotten(key))
        self._promises.pop(key, None)
        self._fresh.pop(key, None)
        self._forgiven.pop(key, None)
        for task in self._coming.pop(key, ()):
            task.cancel()

    async def _write_status(self, key: ObjectKey, replica_set: Wire, pods: list[Wire]) -> None:
        status = self._status(key, replica_set, pods)
        if status == status_of(replica_set):
            return
        patch = {"metadata": {"uid": uid_of(replica_set)}, "status": status}
        try:
            await self._client.patch(
                POOLED_REPLICA_SET, key.namespace, key.name, patch, subresource="status"
            )
        except (NotFound, Conflict) as error:
            log.debug("status not written", extra={"f": {"because": str(error)}})

    def _status(self, key: ObjectKey, replica_set: Wire, pods: list[Wire]) -> Wire:
        counts = count_set(pods)
        labels = (spec_of(replica_set).get("selector") or {}).get("matchLabels") or {}
        failure = self._claiming.claims.failure_of(key)
        trouble = (failure.reason, failure.message) if failure else trouble_of(pods)
        condition: Wire = {"type": "ReplicaFailure", "status": "False"}
        if trouble and not counts.ready:
            condition |= {"status": "True", "reason": trouble[0], "message": trouble[1][:2048]}
        was = status_of(replica_set).get("conditions") or ()
        return {
            "observedGeneration": generation_of(replica_set),
            "replicas": counts.replicas,
            "readyReplicas": counts.ready,
            "claimedReplicas": counts.claimed,
            "fallbackReplicas": counts.replicas - counts.claimed,
            "addresses": _addresses(replica_set, pods),
            "selector": ",".join(f"{k}={v}" for k, v in sorted(labels.items())),
            "conditions": merge_conditions(was, [condition], rfc3339(self._clock.now())),
        }

    # Watching

    def _pods_of(self, replica_set: Wire) -> list[Wire]:
        return self._pods.by_index(_OWNER, uid_of(replica_set))

    def _set_changed(self, change: Change) -> None:
        self.queue.add(change.key)
        self._tell(change.key)

    def _tell(self, key: ObjectKey) -> None:
        """Wake those who wait for news of the set."""
        if (news := self._news.pop(key, None)) is not None:
            news.set()

    def _pod_changed(self, change: Change) -> None:
        if change.new is not None and PODPOOL_LABEL in labels_of(change.new):
            self._warm_changed(change.key.name, change.new)
            return
        owner = controller_of(change.object)
        if owner is not None and owner.get("kind") == POOLED_REPLICA_SET.kind:
            key = change.key._replace(name=str(owner["name"]))
            if change.new is None or is_deleting(change.object) or is_finished(change.object):
                self._fresh[key].pop(f"{change.key.namespace}/{change.key.name}", None)
            self.queue.add(key)
            self._tell(key)

    def _warm_changed(self, name: str, pod: Wire) -> None:
        """One that ends between its claim and its adoption is no instance."""
        if not is_ready(pod):
            for key, fresh in self._fresh.items():
                fresh.pop(f"{key.namespace}/{name}", None)

    async def close(self) -> None:
        """Stop what runs beside."""
        await self._tasks.close()


def _addresses(replica_set: Wire, pods: list[Wire]) -> list[str]:
    """Where the pods that are ready answer."""
    port = container_port(spec_of(spec_of(replica_set).get("template") or {}))
    places = (app_address(pod, port) for pod in pods if is_routable(pod))
    return sorted(f"{ip}:{own_port}" for ip, own_port in places)


def _owner_uid(pod: Wire) -> list[str]:
    owner = controller_of(pod)
    return [str(owner["uid"])] if owner else []


def _lived_s(pod: Wire) -> float:
    """Seconds between the pod's claim or creation and its end, as far as its status says."""
    began = annotations_of(pod).get(CLAIMED_AT_ANNOTATION) or metadata(pod)["creationTimestamp"]
    for status in status_of(pod).get("containerStatuses") or ():
        ended = (status.get("state") or {}).get("terminated") or {}
        if finished := ended.get("finishedAt"):
            times = [datetime.fromisoformat(t.replace("Z", "+00:00")) for t in (began, finished)]
            return (times[1] - times[0]).total_seconds()
    return 0.0
