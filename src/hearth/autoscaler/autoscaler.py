"""Takes figures in, decides, and sets scales."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from hearth.api.activation import (
    ActivateRequest,
    Activation,
    ActivationError,
    ActivationFailure,
    Instances,
    StatReport,
)
from hearth.api.errors import ApiError, NotFound
from hearth.api.kinds import POD, POOLED_REPLICA_SET, REVISION
from hearth.api.meta import (
    ObjectKey,
    Wire,
    is_condition_true,
    is_deleting,
    labels_of,
    spec_of,
)
from hearth.api.names import REVISION_LABEL
from hearth.api.pods import is_routable
from hearth.autoscaler.core.decider import Answer, Observation, State, decide
from hearth.autoscaler.core.spec import DeciderSpec, decider_spec
from hearth.autoscaler.core.windows import Window
from hearth.client import Client
from hearth.kit.clock import Clock
from hearth.kit.tasks import Part, TaskGroup
from hearth.runtime import Change, EventRecorder, Informers

log = logging.getLogger(__name__)

TICK_S = 2.0  #: Knative's tick-interval
POKE_PAUSE_S = 0.1  #: a poked revision is decided at most this often
ACTIVATIONS_MAX = 10_000  #: revisions that may be woken at once; more are refused
#: The load of requests that began and ended between two samples: next to nothing, but not idle.
SHORT_LOAD = 1e-6
_BY_REVISION = "revision"


@dataclass(slots=True)
class _Decided:
    """What is known of one revision."""

    spec: DeciderSpec
    stable: Window
    panic: Window
    since_s: float
    state: State = field(default_factory=State)
    poked_s: float = -1e9
    by_gateway: dict[str, tuple[float, float]] = field(default_factory=dict)
    replicas: int = 0  #: the scale as set, ahead of the cache


class ShardAutoscaler:
    """A :class:`hearth.api.activation.Autoscaler`. Belongs to one event loop."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        instances: Instances,
        clock: Clock,
        events: EventRecorder,
    ) -> None:
        self._client = client
        self._instances = instances
        self._clock = clock
        self._events = events
        self._informers = informers
        self._revisions = informers.of(REVISION)
        self._sets = informers.of(POOLED_REPLICA_SET)
        self._pods = informers.of(POD, label_selector="")
        self._pods.add_index(_BY_REVISION, _revision_of)
        self._revisions.on_change(self._revision_changed)
        self._sets.on_change(self._set_changed)
        self._decided: dict[ObjectKey, _Decided] = {}
        self._activating: dict[ObjectKey, asyncio.Task[Activation]] = {}
        self._tasks = TaskGroup()

    def parts(self) -> list[Part]:
        """What must run."""
        return [Part("autoscaler", self._run)]

    # For gateways

    async def activate(self, request: ActivateRequest) -> Activation:
        """See :meth:`hearth.api.activation.Autoscaler.activate`; single-flight per revision."""
        key = request.key
        task = self._activating.get(key)
        if task is None:
            if len(self._activating) >= ACTIVATIONS_MAX:
                said = f"{ACTIVATIONS_MAX} revisions are being activated"
                raise ActivationError(ActivationFailure(503, "Overloaded", said))
            task = self._tasks.start(self._activate(key), name=f"activate {key}")
            self._activating[key] = task
            task.add_done_callback(lambda done: self._activating.pop(key, None))
        return await asyncio.shield(task)

    async def _activate(self, key: ObjectKey) -> Activation:
        revision = self._revisions.get(key)
        replicas = decider_spec(revision).activation_scale if revision is not None else 1
        got = await self._instances.ensure(key, replicas)
        decided = self._of(key)
        if decided is not None:
            now = self._clock.monotonic_s()
            decided.stable.record(now, 1.0)
            decided.panic.record(now, 1.0)
            if decided.replicas < replicas:
                decided.replicas = replicas
                self._tasks.start(
                    self._scale(key, Answer(replicas, "a request waited")), name=f"scale {key}"
                )
        return got

    async def report(self, report: StatReport) -> None:
        """See :meth:`hearth.api.activation.Autoscaler.report`."""
        now = self._clock.monotonic_s()
        for stat in report.stats:
            key = ObjectKey(stat.tenant, stat.namespace, stat.revision)
            decided = self._of(key)
            if decided is None:
                continue
            load = stat.in_flight + stat.held or (SHORT_LOAD if stat.requests else 0.0)
            decided.by_gateway[report.gateway] = (now, load)
            total = sum(value for at_s, value in decided.by_gateway.values() if now - at_s < TICK_S)
            decided.stable.record(now, total)
            decided.panic.record(now, total)
            if total > decided.spec.target * max(1, decided.replicas):
                self._poke(key, decided, now)

    def _poke(self, key: ObjectKey, decided: _Decided, now: float) -> None:
        if now - decided.poked_s >= POKE_PAUSE_S:
            decided.poked_s = now
            self._decide(key, decided)

    # Deciding

    async def _run(self) -> None:
        await self._informers.wait_synced()
        try:
            while True:
                await asyncio.sleep(TICK_S)
                for key, decided in list(self._decided.items()):
                    if not self._is_at_rest(decided):
                        self._decide(key, decided)
        finally:
            await self._tasks.close()

    def _is_at_rest(self, decided: _Decided) -> bool:
        """Nothing runs, nothing is asked for: a decision could not change anything."""
        low = decided.spec.min_scale if decided.spec.reachable else 0
        now = self._clock.monotonic_s()
        return decided.replicas == 0 and low == 0 and decided.stable.is_empty(now)

    def _decide(self, key: ObjectKey, decided: _Decided) -> None:
        now = self._clock.monotonic_s()
        seen = Observation(
            at_s=now,
            ready_pods=self._ready_pods(key),
            replicas=decided.replicas,
            stable=decided.stable.average(now),
            panic=decided.panic.average(now),
            idle=decided.stable.is_empty(now),
            observed_s=now - decided.since_s,
        )
        answer, decided.state = decide(decided.spec, seen, decided.state)
        if answer.replicas != decided.replicas:
            decided.replicas = answer.replicas
            self._tasks.start(self._scale(key, answer), name=f"scale {key}")

    async def _scale(self, key: ObjectKey, answer: Answer) -> None:
        scale = {"spec": {"replicas": answer.replicas}}
        try:
            await self._client.patch(
                POOLED_REPLICA_SET, key.namespace, key.name, scale, subresource="scale"
            )
        except NotFound:
            return
        except (ApiError, ConnectionError) as error:
            log.warning("not scaled", extra={"f": {"revision": key, "because": str(error)}})
            if (decided := self._decided.get(key)) is not None:
                decided.replicas = self._replicas_in_cache(key)
            return
        facts = {"revision": str(key), "to_pods": answer.replicas, "reason": answer.reason}
        log.info("scaled", extra={"f": facts})
        if (revision := self._revisions.get(key)) is not None:
            said = f"scaled to {answer.replicas}: {answer.reason}"
            self._events.record(revision, "Normal", "Scaled", said)

    def _ready_pods(self, key: ObjectKey) -> int:
        pods = self._pods.by_index(_BY_REVISION, f"{key.namespace}/{key.name}")
        return sum(is_routable(pod) for pod in pods)

    # Watching

    def _of(self, key: ObjectKey) -> _Decided | None:
        decided = self._decided.get(key)
        if decided is None and (revision := self._revisions.get(key)) is not None:
            decided = self._begin(key, revision)
        return decided

    def _begin(self, key: ObjectKey, revision: Wire) -> _Decided:
        spec = decider_spec(revision)
        decided = _Decided(
            spec,
            Window(spec.stable_window_s),
            Window(spec.panic_window_s),
            self._clock.monotonic_s(),
            state=State(reached_initial=is_condition_true(revision, "Ready")),
            replicas=self._replicas_in_cache(key),
        )
        self._decided[key] = decided
        return decided

    def _replicas_in_cache(self, key: ObjectKey) -> int:
        replica_set = self._sets.get(key)
        return int(spec_of(replica_set).get("replicas") or 0) if replica_set else 0

    def _revision_changed(self, change: Change) -> None:
        if change.new is None or is_deleting(change.new):
            self._decided.pop(change.key, None)
            return
        decided = self._decided.get(change.key)
        if decided is None:
            self._begin(change.key, change.new)
            return
        spec = decider_spec(change.new)
        if spec != decided.spec:
            fresh = self._begin(change.key, change.new)
            fresh.state, fresh.since_s = decided.state, decided.since_s
            fresh.replicas = decided.replicas

    def _set_changed(self, change: Change) -> None:
        """Someone else may scale a set too: their number is where the next decision starts."""
        decided = self._of(change.key)
        if decided is None or change.new is None:
            return
        old = int(spec_of(change.old).get("replicas") or 0) if change.old is not None else None
        new = int(spec_of(change.new).get("replicas") or 0)
        if new != old:
            decided.replicas = new
            if old is None or old == 0:
                decided.since_s = self._clock.monotonic_s()


def _revision_of(pod: Wire) -> list[str]:
    revision = labels_of(pod).get(REVISION_LABEL)
    namespace = (pod.get("metadata") or {}).get("namespace")
    return [f"{namespace}/{revision}"] if revision else []
