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
    RevisionStat,
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
from hearth.autoscaler.core.decider import TICK_S, Answer, Observation, State, decide, resumed
from hearth.autoscaler.core.spec import DeciderSpec, decider_spec
from hearth.autoscaler.core.windows import Window
from hearth.client import Client
from hearth.kit.clock import Clock
from hearth.kit.tasks import Part, TaskGroup
from hearth.runtime import Change, EventRecorder, Informers

log = logging.getLogger(__name__)

POKE_PAUSE_S = 0.1  #: a poked revision is decided at most this often
ACTIVATIONS_MAX = 10_000  #: revisions that may be woken at once; more are refused
DECISIONS_AT_ONCE = 100  #: of a tick, a few milliseconds; then others get their turn
_BY_REVISION = "revision"


@dataclass(slots=True)
class _Decided:
    """What is known of one revision."""

    spec: DeciderSpec
    stable: Window
    panic: Window
    since_s: float  #: since when there has been anything to observe
    state: State
    active_s: float = -1e9  #: when there last was a request
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
        self._activating: dict[ObjectKey, asyncio.Task[Activation]] = {}
        self._tasks = TaskGroup(ActivationError)
        self._decided: dict[ObjectKey, _Decided] = {}
        self._awake: set[ObjectKey] = set()  #: those of ``_decided`` that are not at rest
        self._started = False  #: until then, what is there is an earlier autoscaler's work
        self._revisions.on_change(self._revision_changed)
        self._sets.on_change(self._set_changed)

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
            decided.active_s = self._clock.monotonic_s()
            if decided.replicas < replicas:
                decided.replicas = replicas
                answer = Answer(replicas, "a request waited")
                self._tasks.start(self._scale(key, answer), name=f"scale {key}")
        return got

    async def report(self, report: StatReport) -> None:
        """See :meth:`hearth.api.activation.Autoscaler.report`."""
        now = self._clock.monotonic_s()
        for stat in report.stats:
            key = ObjectKey(stat.tenant, stat.namespace, stat.revision)
            decided = self._of(key)
            if decided is None:
                continue
            total = _take(decided, report.gateway, stat, now)
            if total > decided.spec.target * max(1, decided.replicas):
                self._poke(key, decided, now)

    def _poke(self, key: ObjectKey, decided: _Decided, now: float) -> None:
        if now - decided.poked_s >= POKE_PAUSE_S:
            decided.poked_s = now
            self._decide(key, decided)

    # Deciding

    async def _run(self) -> None:
        await self._informers.wait_synced()
        self._started = True
        try:
            while True:
                await asyncio.sleep(TICK_S)
                await self._tick()
        finally:
            await self._tasks.close()

    async def _tick(self) -> None:
        for number, key in enumerate(list(self._awake), 1):
            if (decided := self._decided.get(key)) is None or self._is_at_rest(decided):
                self._awake.discard(key)
            else:
                self._decide(key, decided)
            if number % DECISIONS_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _is_at_rest(self, decided: _Decided) -> bool:
        """Nothing runs, nothing is asked for: a decision could not change anything."""
        low = decided.spec.min_scale if decided.spec.reachable else 0
        return decided.replicas == 0 and low == 0 and self._is_idle(decided)

    def _is_idle(self, decided: _Decided) -> bool:
        return self._clock.monotonic_s() - decided.active_s >= decided.spec.stable_window_s

    def _decide(self, key: ObjectKey, decided: _Decided) -> None:
        now = self._clock.monotonic_s()
        seen = Observation(
            at_s=now,
            ready_pods=self._ready_pods(key),
            replicas=decided.replicas,
            stable=decided.stable.average(now),
            panic=decided.panic.average(now),
            idle=self._is_idle(decided),
            observed_s=now - decided.since_s,
        )
        answer, decided.state = decide(decided.spec, seen, decided.state)
        if answer.replicas != decided.replicas:
            decided.replicas = answer.replicas
            self._tasks.start(self._scale_and_tell(key, answer), name=f"scale {key}")

    async def _scale_and_tell(self, key: ObjectKey, answer: Answer) -> None:
        """Set the scale and say so in an event; a cold start has no write to spare for one."""
        scaled = await self._scale(key, answer)
        if scaled and (revision := self._revisions.get(key)) is not None:
            said = f"scaled to {answer.replicas}: {answer.reason}"
            self._events.record(revision, "Normal", "Scaled", said)

    async def _scale(self, key: ObjectKey, answer: Answer) -> bool:
        """Set the scale; whether it was set."""
        scale = {"spec": {"replicas": answer.replicas}}
        try:
            await self._client.patch(
                POOLED_REPLICA_SET, key.namespace, key.name, scale, subresource="scale"
            )
        except NotFound:
            return False
        except (ApiError, ConnectionError) as error:
            log.warning("not scaled", extra={"f": {"revision": key, "because": str(error)}})
            if (decided := self._decided.get(key)) is not None:
                decided.replicas = self._replicas_in_cache(key)
            return False
        facts = {"revision": str(key), "to_pods": answer.replicas, "reason": answer.reason}
        log.info("scaled", extra={"f": facts})
        return True

    def _ready_pods(self, key: ObjectKey) -> int:
        pods = self._pods.by_index(_BY_REVISION, f"{key.namespace}/{key.name}")
        return sum(is_routable(pod) for pod in pods)

    # Watching

    def _of(self, key: ObjectKey) -> _Decided | None:
        """What is known of the revision, which is no longer at rest."""
        decided = self._decided.get(key)
        if decided is None and (revision := self._revisions.get(key)) is not None:
            decided = self._begin(key, revision)
        if decided is not None:
            self._awake.add(key)
        return decided

    def _begin(self, key: ObjectKey, revision: Wire) -> _Decided:
        now = self._clock.monotonic_s()
        spec = decider_spec(revision)
        reached = is_condition_true(revision, "Ready")
        decided = _Decided(
            spec,
            Window(spec.stable_window_s),
            Window(spec.panic_window_s),
            now,
            State(reached_initial=reached),
            replicas=self._replicas_in_cache(key),
        )
        if not self._started:
            decided.state = resumed(now, decided.replicas, reached_initial=reached)
        self._decided[key] = decided
        return decided

    def _replicas_in_cache(self, key: ObjectKey) -> int:
        replica_set = self._sets.get(key)
        return int(spec_of(replica_set).get("replicas") or 0) if replica_set else 0

    def _revision_changed(self, change: Change) -> None:
        if change.new is None or is_deleting(change.new):
            self._decided.pop(change.key, None)
            return
        decided = self._of(change.key)
        assert decided is not None  # the cache holds the revision
        spec = decider_spec(change.new)
        if spec.stable_window_s != decided.spec.stable_window_s:
            decided.stable = Window(spec.stable_window_s)
        if spec.panic_window_s != decided.spec.panic_window_s:
            decided.panic = Window(spec.panic_window_s)
        decided.spec = spec

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
                decided.since_s = now = self._clock.monotonic_s()
                if not self._started:
                    reached = decided.state.reached_initial
                    decided.state = resumed(now, new, reached_initial=reached)


def _take(decided: _Decided, gateway: str, stat: RevisionStat, now: float) -> float:
    """Take one gateway's figures in; what all of them have now."""
    mine, others = stat.in_flight + stat.held, decided.by_gateway
    for silent in [name for name, (at_s, _) in others.items() if now - at_s >= TICK_S]:
        del others[silent]
    others[gateway] = (now, mine)
    # A request that ended already counts too, but cannot wake: activation does, if it succeeds.
    if mine or (stat.requests and decided.replicas):
        decided.active_s = now
    total = sum(value for _, value in others.values())
    decided.stable.record(now, total)
    decided.panic.record(now, total)
    return total


def _revision_of(pod: Wire) -> list[str]:
    revision = labels_of(pod).get(REVISION_LABEL)
    namespace = (pod.get("metadata") or {}).get("namespace")
    return [f"{namespace}/{revision}"] if revision else []
