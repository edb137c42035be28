"""Takes figures in, decides, and sets scales."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from hearth.api.activation import (
    ActivateRequest,
    Activation,
    ActivationError,
    ActivationFailure,
    Instances,
    StatReport,
)
from hearth.api.config import AutoscalerConfig
from hearth.api.errors import ApiError, NotFound
from hearth.api.kinds import POD, POOLED_REPLICA_SET, REVISION
from hearth.api.meta import (
    ObjectKey,
    Wire,
    annotations_of,
    is_condition_true,
    is_deleting,
    labels_of,
    spec_of,
)
from hearth.api.names import (
    COLD_STARTS_ANNOTATION,
    REVISION_LABEL,
    SCALE_REASON_ANNOTATION,
    SPARE_BURST_ANNOTATION,
)
from hearth.api.observability import cold_starts_of, metric_labels
from hearth.api.pods import is_routable
from hearth.autoscaler.core.decider import TICK_S, Answer, Observation, State, decide, resumed
from hearth.autoscaler.core.spec import decider_spec
from hearth.autoscaler.figures import Figures
from hearth.autoscaler.known import Known
from hearth.autoscaler.machine import MachineClass
from hearth.client import Client
from hearth.kit.clock import Clock
from hearth.kit.metrics import labels
from hearth.kit.tasks import Part, TaskGroup
from hearth.runtime import Change, EventRecorder, Informers
from hearth.runtime.scaling import ScalingConfig

log = logging.getLogger(__name__)

POKE_PAUSE_S = 0.1  #: a poked revision is decided at most this often
ACTIVATIONS_MAX = 10_000  #: revisions that may be woken at once; more are refused
COLD_STARTS_KEPT = 20  #: of each revision
DECISIONS_AT_ONCE = 100  #: of a tick, a few milliseconds; then others get their turn
_BY_REVISION = "revision"


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
        self._decided: dict[ObjectKey, Known] = {}
        self._awake: set[ObjectKey] = set()  #: those of ``_decided`` that are not at rest
        self._started = False  #: until then, what is there is an earlier autoscaler's work
        config = ScalingConfig.of(informers)
        self._defaults = config()
        config.on_change(self._configure)
        self._machine = MachineClass(client, self._revisions, self._pods_of, self, clock, events)
        self._revisions.on_change(self._revision_changed)
        self._sets.on_change(self._set_changed)

    def parts(self) -> list[Part]:
        """What must run."""
        return [
            Part("autoscaler", self._run),
            Part("autoscaler by machine", self._run_by_machine),
        ]

    def _configure(self, defaults: AutoscalerConfig) -> None:
        """The cluster's config maps have changed: every revision is decided by them from now on."""
        self._defaults = defaults
        for key, known in list(self._decided.items()):
            if (revision := self._revisions.get(key)) is not None:
                known.follow(decider_spec(revision, defaults))
                self._awake.add(key)

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
        replicas = 1
        if revision is not None:
            replicas = decider_spec(revision, self._defaults).activation_scale
        began_s = self._clock.monotonic_s()
        got = await self._instances.ensure(key, replicas)
        decided = self._of(key)
        if decided is not None:
            decided.active_s = self._clock.monotonic_s()
            if got.source != "ready":
                took_ms = round((decided.active_s - began_s) * 1000)
                decided.cold_starts_ms = (*decided.cold_starts_ms, took_ms)[-COLD_STARTS_KEPT:]
            if decided.replicas < replicas:
                decided.replicas = replicas
                answer = Answer(replicas, "a request waited", None)
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
            total = decided.take(report.gateway, stat, now, report.interval_s)
            if total > decided.spec.target * max(1, decided.replicas):
                self._poke(key, decided, now)

    def busy(self, key: ObjectKey) -> Mapping[str, float]:
        """Requests in flight by instance (``ip:port``) of a revision, without those that have none.

        Who takes instances away asks for it, to leave the busiest for last.
        """
        decided = self._decided.get(key)
        return decided.busy() if decided is not None else {}

    def _poke(self, key: ObjectKey, decided: Known, now: float) -> None:
        if now - decided.poked_s >= POKE_PAUSE_S:
            decided.poked_s = now
            self._decide(key, decided)

    async def metrics(self) -> str:
        """Figures of revisions that are not at rest: a :data:`hearth.kit.metrics.Source`."""
        figures, now = Figures(), self._clock.monotonic_s()
        for number, (key, known) in enumerate(list(self._decided.items()), 1):
            revision, pods = self._revisions.get(key), self._pods_of(key)
            if revision is not None and (pods or known.replicas or not known.is_idle(now)):
                figures.take(labels(metric_labels(key, revision)), known, pods, now)
            if number % DECISIONS_AT_ONCE == 0:
                await asyncio.sleep(0)
        return figures.text()

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

    async def _run_by_machine(self) -> None:
        await self._informers.wait_synced()
        await self._machine.run(self._decided)

    async def _tick(self) -> None:
        for number, key in enumerate(list(self._awake), 1):
            if (decided := self._decided.get(key)) is None or self._is_at_rest(decided):
                self._awake.discard(key)
            else:
                self._decide(key, decided)
            if number % DECISIONS_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _is_at_rest(self, decided: Known) -> bool:
        """Nothing runs, nothing is asked for: a decision could not change anything."""
        idle = decided.is_idle(self._clock.monotonic_s())
        floor = decided.spec.floor or decided.spec.schedule
        return decided.replicas == 0 and not floor and idle

    def _decide(self, key: ObjectKey, decided: Known) -> None:
        if not decided.spec.is_kpa:
            return
        now = self._clock.monotonic_s()
        seen = Observation(
            at_s=now,
            ready_pods=self._ready_pods(key),
            replicas=decided.replicas,
            stable=decided.stable.average(now),
            panic=decided.panic.average(now),
            idle=decided.is_idle(now),
            observed_s=now - decided.since_s,
            scheduled=decided.scheduled(self._clock.now()),
        )
        answer, decided.state = decide(decided.spec, seen, decided.state)
        decided.answer = answer
        self.set_scale(key, decided, answer)

    def set_scale(self, key: ObjectKey, known: Known, answer: Answer) -> None:
        """Set the scale if it differs from the one that is set, and tell of it."""
        turned = answer.has_room is not None and answer.has_room != known.has_room
        if turned:
            known.has_room = not known.has_room
        if answer.replicas != known.replicas:
            known.replicas = answer.replicas
            self._tasks.start(self._scale_and_tell(key, answer), name=f"scale {key}")
        elif turned:
            self._tasks.start(
                self._write(key, {"metadata": {"annotations": _room(answer)}}),
                name=f"room of {key}",
            )

    async def _scale_and_tell(self, key: ObjectKey, answer: Answer) -> None:
        """Set the scale and say so in an event; a cold start has no write to spare for one."""
        scaled = await self._scale(key, answer)
        if scaled and (revision := self._revisions.get(key)) is not None:
            said = f"scaled to {answer.replicas}: {answer.reason}"
            self._events.record(revision, "Normal", "Scaled", said)

    async def _scale(self, key: ObjectKey, answer: Answer) -> bool:
        """Set the scale; whether it was set."""
        said = {SCALE_REASON_ANNOTATION: answer.reason, **_room(answer)}
        if (known := self._decided.get(key)) is not None and known.cold_starts_ms:
            said[COLD_STARTS_ANNOTATION] = ",".join(map(str, known.cold_starts_ms))
        meta = {"annotations": said}
        if not await self._write(key, {"metadata": meta, "spec": {"replicas": answer.replicas}}):
            return False
        facts = {"revision": str(key), "to_pods": answer.replicas, "reason": answer.reason}
        log.info("scaled", extra={"f": facts})
        return True

    async def _write(self, key: ObjectKey, patch: Wire) -> bool:
        """Patch the set; whether it was. What could not be written is decided again."""
        try:
            await self._client.patch(POOLED_REPLICA_SET, key.namespace, key.name, patch)
        except NotFound:
            return False
        except (ApiError, ConnectionError) as error:
            log.warning("not scaled", extra={"f": {"revision": key, "because": str(error)}})
            if (decided := self._decided.get(key)) is not None:
                decided.replicas = self._replicas_in_cache(key)
                decided.has_room = self._has_room_in_cache(key)
            return False
        return True

    def _ready_pods(self, key: ObjectKey) -> int:
        return sum(is_routable(pod) for pod in self._pods_of(key))

    def _pods_of(self, key: ObjectKey) -> list[Wire]:
        return self._pods.by_index(_BY_REVISION, f"{key.namespace}/{key.name}")

    # Watching

    def _of(self, key: ObjectKey) -> Known | None:
        """What is known of the revision, which is no longer at rest."""
        decided = self._decided.get(key)
        if decided is None and (revision := self._revisions.get(key)) is not None:
            decided = self._begin(key, revision)
        if decided is not None:
            self._awake.add(key)
        return decided

    def _begin(self, key: ObjectKey, revision: Wire) -> Known:
        now = self._clock.monotonic_s()
        reached = is_condition_true(revision, "Ready")
        spec, state = decider_spec(revision, self._defaults), State(reached_initial=reached)
        decided = Known(spec, now, state, replicas=self._replicas_in_cache(key))
        decided.has_room = self._has_room_in_cache(key)
        decided.cold_starts_ms = cold_starts_of(self._sets.get(key) or {})
        if not self._started:
            decided.state = resumed(now, decided.replicas, reached_initial=reached)
        self._decided[key] = decided
        if spec.is_hpa:
            self._machine.begin(key)
        return decided

    def _replicas_in_cache(self, key: ObjectKey) -> int:
        replica_set = self._sets.get(key)
        return int(spec_of(replica_set).get("replicas") or 0) if replica_set else 0

    def _has_room_in_cache(self, key: ObjectKey) -> bool:
        replica_set = self._sets.get(key)
        said = annotations_of(replica_set).get(SPARE_BURST_ANNOTATION) if replica_set else None
        return said == "true"

    def _revision_changed(self, change: Change) -> None:
        if change.new is None or is_deleting(change.new):
            self._decided.pop(change.key, None)
            return
        decided = self._of(change.key)
        assert decided is not None  # the cache holds the revision
        decided.follow(decider_spec(change.new, self._defaults))

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


def _room(answer: Answer) -> dict[str, str]:
    """The annotation that tells of room for a burst."""
    if answer.has_room is None:
        return {}
    return {SPARE_BURST_ANNOTATION: str(answer.has_room).lower()}


def _revision_of(pod: Wire) -> list[str]:
    revision = labels_of(pod).get(REVISION_LABEL)
    namespace = (pod.get("metadata") or {}).get("namespace")
    return [f"{namespace}/{revision}"] if revision else []
