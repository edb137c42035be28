"""The reconciler of PodPools: keeps each at its level of warm pods."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter, defaultdict

from hearth.api.errors import AlreadyExists, Conflict, NotFound
from hearth.api.kinds import POD, POD_POOL
from hearth.api.meta import (
    ObjectKey,
    Wire,
    generation_of,
    is_deleting,
    labels_of,
    merge_conditions,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
)
from hearth.api.names import PODPOOL_LABEL
from hearth.api.pods import is_finished, is_ready
from hearth.client import Client
from hearth.kit.backoff import backoff_s
from hearth.kit.clock import Clock
from hearth.kit.metrics import family, labels
from hearth.kit.times import rfc3339
from hearth.pool.claiming import Claiming, place_of
from hearth.pool.core.scaling import NODE_RESTARTED, change_pool, hash_template, trouble_of
from hearth.pool.resources import make_warm_pod
from hearth.pool.specialising import secret_digest, secret_of
from hearth.runtime import Change, Informers, Result, WorkQueue

log = logging.getLogger(__name__)

CREATED_AT_ONCE_MAX = 16  #: pods that one reconcile asks for; the rest follow as these come
#: A claim frees a place; the new pod starts a moment later, so that it does not compete with the
#: very request that the claim is for (a fork, a network namespace and three writes).
REFILL_DELAY_S = 0.05
_POOL = "pool"


class Pools:
    """Keeps pools filled. Belongs to one event loop."""

    def __init__(
        self, client: Client, informers: Informers, claiming: Claiming, clock: Clock
    ) -> None:
        self._client = client
        self._claiming = claiming
        self._clock = clock
        self.queue = WorkQueue()
        self._pools = claiming.pools
        self._pods = claiming.pods
        self._pods.add_index(_POOL, _pool_of)
        self._pools.on_change(lambda change: self.queue.add(change.key))
        self._pods.on_change(self._pod_changed)
        self._claimed: Counter[ObjectKey] = Counter()
        self._coming: defaultdict[ObjectKey, set[str]] = defaultdict(set)
        self._failures: Counter[ObjectKey] = Counter()
        self._trouble: dict[ObjectKey, tuple[str, str]] = {}

    async def reconcile(self, key: ObjectKey) -> Result:
        """Create or delete warm pods until the level is reached; then say how it stands."""
        pool = self._pools.get(key)
        if pool is None or is_deleting(pool):
            return Result()
        pods = self._pods.by_index(_POOL, place_of(key.namespace, key.name))
        wanted = int(spec_of(pool).get("replicas") or 0)
        reserved = self._claiming.reserved_in(key.namespace)
        self._note_failures(key, [pod for pod in pods if name_of(pod) not in reserved])
        plan = change_pool(pods, reserved, wanted, hash_template(pool))
        for name in plan.delete:
            await self._delete(pool, name)
        starting = sum(not is_ready(pod) and not is_finished(pod) for pod in pods)
        room = CREATED_AT_ONCE_MAX - starting - len(self._coming[key])
        create = min(plan.create - len(self._coming[key]), room)
        failing = self._failures[key]
        if create > 0:
            await self._create(pool, key, 1 if failing else create)
        await self._write_status(key, pool, pods)
        if failing and plan.create > 0:
            return Result(again_after_s=backoff_s(failing, base_s=1, max_s=60))
        return Result()

    async def metrics(self) -> str:
        """Pods by pool and state: a :data:`hearth.kit.metrics.Source`."""
        pods, wanted, claimed = [], [], []
        for pool in self._pools.list():
            own = {"pool": name_of(pool)}
            for state, count in self._states(pool).items():
                pods.append((labels({**own, "state": state}), count))
            wanted.append((labels(own), int(spec_of(pool).get("replicas") or 0)))
            claimed.append((labels(own), int(status_of(pool).get("claimed") or 0)))
        return (
            family("hearth_pool_pods", "gauge", "Pods of a pool by state.", pods)
            + family("hearth_pool_pods_desired", "gauge", "Warm pods wanted.", wanted)
            + family("hearth_pool_claimed_total", "counter", "Pods that were claimed.", claimed)
        )

    def _states(self, pool: Wire) -> Counter[str]:
        found = Counter(warm=0, starting=0, claimed=0)
        reserved = self._claiming.reserved_in(namespace_of(pool))
        for pod in self._pods.by_index(_POOL, place_of(namespace_of(pool), name_of(pool))):
            if is_finished(pod) or is_deleting(pod):
                continue
            if name_of(pod) in reserved:
                found["claimed"] += 1
            else:
                found["warm" if is_ready(pod) else "starting"] += 1
        return found

    async def _create(self, pool: Wire, key: ObjectKey, count: int) -> None:
        pool_key = await self._claiming.pool_key()
        names = [f"{name_of(pool)}-{secrets.token_hex(4)}" for _ in range(count)]
        self._coming[key].update(names)
        made = await asyncio.gather(
            *(self._create_one(pool, name, pool_key) for name in names), return_exceptions=True
        )
        for name, error in zip(names, made, strict=True):
            if isinstance(error, BaseException):
                self._coming[key].discard(name)
                raise error

    async def _create_one(self, pool: Wire, name: str, pool_key: bytes) -> None:
        digest = secret_digest(secret_of(pool_key, place_of(namespace_of(pool), name)))
        pod = make_warm_pod(pool, name, digest, kubelets=self._claiming.kubelets)
        try:
            await self._client.create(POD, pod)
        except AlreadyExists:
            return

    async def _delete(self, pool: Wire, name: str) -> None:
        try:
            await self._client.delete(POD, namespace_of(pool), name)
        except NotFound:
            return

    def _note_failures(self, key: ObjectKey, pods: list[Wire]) -> None:
        finished = [pod for pod in pods if is_finished(pod) and not is_deleting(pod)]
        lost = [p for p in finished if status_of(p).get("reason") == NODE_RESTARTED]
        if len(finished) > len(lost):
            self._failures[key] += 1
            self._trouble[key] = trouble_of(finished) or ("Failed", "warm pods end by themselves")
        elif any(is_ready(pod) for pod in pods):
            self._failures[key] = 0
            self._trouble.pop(key, None)

    async def _write_status(self, key: ObjectKey, pool: Wire, pods: list[Wire]) -> None:
        alive = [p for p in pods if not is_finished(p) and not is_deleting(p)]
        reserved = self._claiming.reserved_in(key.namespace)
        idle = [p for p in alive if name_of(p) not in reserved]
        ready = {"type": "Ready", "status": "True"}
        warm = sum(is_ready(pod) for pod in idle)
        wanted = int(spec_of(pool).get("replicas") or 0)
        if trouble := self._trouble.get(key):
            ready = {"type": "Ready", "status": "False", "reason": trouble[0]}
            ready["message"] = trouble[1][:1024]
        elif warm < wanted:
            ready = {"type": "Ready", "status": "Unknown", "reason": "Filling"}
        was = status_of(pool)
        claimed = int(was.get("claimed") or 0) + self._claimed.pop(key, 0)
        status = {
            "observedGeneration": generation_of(pool),
            "replicas": len(idle),
            "readyReplicas": warm,
            "claimed": claimed,
            "conditions": merge_conditions(
                was.get("conditions") or (), [ready], rfc3339(self._clock.now())
            ),
        }
        if status == was:
            return
        patch = {"metadata": {"uid": uid_of(pool)}, "status": status}
        try:
            await self._client.patch(POD_POOL, key.namespace, key.name, patch, subresource="status")
        except (NotFound, Conflict) as error:
            log.debug("status not written", extra={"f": {"because": str(error)}})

    def _pod_changed(self, change: Change) -> None:
        was = set(_pool_of(change.old)) if change.old is not None else set()
        now = set(_pool_of(change.new)) if change.new is not None else set()
        for place in was | now:
            key = change.key._replace(name=place.split("/", 1)[1])
            self._coming[key].discard(change.key.name)  # it may be gone before the next look
            if place in now:
                self.queue.add(key)
                continue
            if not is_finished(change.object) and not is_deleting(change.object):
                self._claimed[key] += 1
            self.queue.add_after(key, REFILL_DELAY_S)


def _pool_of(pod: Wire) -> list[str]:
    name = labels_of(pod).get(PODPOOL_LABEL)
    return [place_of(namespace_of(pod), name)] if name else []
