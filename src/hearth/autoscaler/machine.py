"""Scales revisions of the class ``hpa.autoscaling.knative.dev`` by what their pods use.

Every 15 s: pods' figures from ``metrics.k8s.io``, a decision, the scale, and what was seen in a
HorizontalPodAutoscaler named as the revision, as Knative has it.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from hearth.api.durations import parse_duration_s
from hearth.api.errors import ApiError, NotFound
from hearth.api.kinds import HORIZONTAL_POD_AUTOSCALER, POD_METRICS, POOLED_REPLICA_SET
from hearth.api.meta import (
    ObjectKey,
    Wire,
    annotations_of,
    is_deleting,
    labels_of,
    merge_conditions,
    name_of,
    namespace_of,
    owner_reference,
    spec_of,
    status_of,
)
from hearth.api.names import REVISION_LABEL
from hearth.api.pods import is_finished, is_ready, user_container
from hearth.api.quantities import parse_cpu, parse_quantity
from hearth.api.serving.annotations import autoscaling_annotations
from hearth.autoscaler.core.decider import Answer
from hearth.autoscaler.core.machine import (
    CPU_PERCENT_DEFAULT,
    DOWN_WINDOW_S,
    INTERVAL_S,
    MEBIBYTE,
    MachineSpec,
    MachineState,
    Measured,
    NoFigures,
    PodFigure,
    decide_by_machine,
    measure,
)
from hearth.autoscaler.core.spec import CPU, DeciderSpec
from hearth.autoscaler.known import Known
from hearth.client import Client
from hearth.kit.clock import Clock
from hearth.kit.times import rfc3339
from hearth.runtime import EventRecorder, Informer

log = logging.getLogger(__name__)

_MAX_REPLICAS = 2**31 - 1  #: Knative's in place of no limit


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one round came to."""

    before: int  #: the scale
    answer: Answer
    measured: Measured | None
    fault: str  #: why there was nothing to decide by, or empty


class Scaler(Protocol):
    """Whoever sets scales."""

    def set_scale(self, key: ObjectKey, known: Known, answer: Answer) -> None:
        """Set the scale if it differs from the one that is set, and tell of it."""
        ...


class MachineClass:
    """The loop of one shard. Belongs to one event loop."""

    def __init__(
        self,
        client: Client,
        revisions: Informer,
        pods_of: Callable[[ObjectKey], list[Wire]],
        scaler: Scaler,
        clock: Clock,
        events: EventRecorder,
    ) -> None:
        """Prepare.

        Args:
            client: writes as the autoscaler.
            revisions: the shard's.
            pods_of: the pods of a revision.
            scaler: sets scales.
            clock: for windows and conditions.
            events: where to tell why nothing can be decided.
        """
        self._client = client
        self._revisions = revisions
        self._pods_of = pods_of
        self._scaler = scaler
        self._clock = clock
        self._events = events
        self._states: dict[ObjectKey, MachineState] = {}
        self._new: asyncio.Queue[ObjectKey] = asyncio.Queue()

    def begin(self, key: ObjectKey) -> None:
        """Decide for a new revision at once: its HorizontalPodAutoscaler is looked for."""
        self._new.put_nowait(key)

    async def run(self, known: dict[ObjectKey, Known]) -> None:
        """Decide for those of ``known`` that are of the class, until cancelled."""
        while True:
            mine = [key for key, one in known.items() if one.spec.is_hpa]
            for gone in self._states.keys() - mine:
                del self._states[gone]
            await self._decide_each(mine, known)
            due = asyncio.get_running_loop().time() + INTERVAL_S
            while (key := await self._next_new(due)) is not None:
                await self._decide_each([key], known)

    async def _next_new(self, due: float) -> ObjectKey | None:
        try:
            async with asyncio.timeout_at(due):
                return await self._new.get()
        except TimeoutError:
            return None

    async def _decide_each(self, keys: Iterable[ObjectKey], known: dict[ObjectKey, Known]) -> None:
        for key in keys:
            try:
                if key in known:
                    await self._decide(key, known[key])
            except (ApiError, ConnectionError) as error:
                facts = {"revision": str(key), "because": str(error)}
                log.warning("not decided", extra={"f": facts})

    async def _decide(self, key: ObjectKey, known: Known) -> None:
        revision = self._revisions.get(key)
        if revision is None or is_deleting(revision):
            return
        if not known.spec.reachable:
            self._scaler.set_scale(key, known, Answer(0, "no Route refers to it"))
            return
        spec = machine_spec(revision, known.spec, known.scheduled(self._clock.now()))
        seen: Measured | None = None
        fault = ""
        try:
            pods = await self._figures(key, revision)
            seen = measure(spec, pods)
            answer, self._states[key] = decide_by_machine(
                spec,
                self._clock.monotonic_s(),
                known.replicas,
                pods,
                self._states.get(key, MachineState()),
            )
        except NoFigures as error:
            fault = str(error)
            low = max(known.replicas, spec.low)
            answer = Answer(low, f"not below {spec.low}; {fault}")
        known.answer = answer
        before = known.replicas
        self._scaler.set_scale(key, known, answer)
        await self._write(key, revision, spec, _Seen(before, answer, seen, fault))

    async def _figures(self, key: ObjectKey, revision: Wire) -> list[PodFigure]:
        selector = f"{REVISION_LABEL}={key.name}"
        found = await self._client.list(POD_METRICS, key.namespace, label_selector=selector)
        used = {name_of(figures): _used(figures, _metric_of(revision)) for figures in found.items}
        request = _request(revision, _metric_of(revision))
        alive = (pod for pod in self._pods_of(key) if not is_finished(pod) and not is_deleting(pod))
        return [PodFigure(used.get(name_of(pod)), request, is_ready(pod)) for pod in alive]

    async def _write(self, key: ObjectKey, revision: Wire, spec: MachineSpec, seen: _Seen) -> None:
        """Keep the HorizontalPodAutoscaler as what was asked and seen."""
        kind = HORIZONTAL_POD_AUTOSCALER
        desired = make_autoscaler(revision, spec)
        try:
            have = await self._client.get(kind, key.namespace, key.name)
        except NotFound:
            have = await self._client.create(kind, desired)
        if spec_of(have) != desired["spec"]:
            patch = {"spec": desired["spec"]}
            have = await self._client.patch(kind, key.namespace, key.name, patch)
        at = rfc3339(self._clock.now())
        status = autoscaler_status(spec, seen, status_of(have), at)
        if status != status_of(have):
            patch = {"status": status}
            await self._client.patch(kind, key.namespace, key.name, patch, subresource="status")
        if seen.fault and seen.fault not in str(status_of(have).get("conditions")):
            said = f"failed to get {spec.metric} utilization: {seen.fault}"
            self._events.record(have, "Warning", "FailedGetResourceMetric", said)
            self._events.record(revision, "Warning", "FailedGetResourceMetric", said)


def machine_spec(revision: Wire, spec: DeciderSpec, scheduled: int = 0) -> MachineSpec:
    """What a revision asks of this class; ``window`` stands for both of Kubernetes' windows.

    Source: knative/serving pkg/reconciler/autoscaling/hpa/resources/hpa.go.
    """
    own = autoscaling_annotations(annotations_of(revision))
    up_s, down_s = 0.0, DOWN_WINDOW_S
    target = CPU_PERCENT_DEFAULT
    try:
        if own.get("target"):
            target = math.ceil(float(own["target"])) if spec.metric == CPU else float(own["target"])
        if own.get("window"):
            up_s = down_s = parse_duration_s(own["window"])
    except ValueError:
        log.debug("annotation not read", extra={"f": {"revision": name_of(revision)}})
    low = max(1, spec.floor, scheduled)
    return MachineSpec(spec.metric, target, low, spec.max_scale, up_s, down_s)


def make_autoscaler(revision: Wire, spec: MachineSpec) -> Wire:
    """The HorizontalPodAutoscaler of a revision."""
    kind = POOLED_REPLICA_SET
    metric = {"name": spec.metric, "target": _target(spec)}
    asked: Wire = {
        "scaleTargetRef": {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "name": name_of(revision),
        },
        "minReplicas": spec.low,
        "maxReplicas": spec.high or _MAX_REPLICAS,
        "metrics": [{"type": "Resource", "resource": metric}],
    }
    if spec.up_window_s:
        asked["behavior"] = {
            way: {"stabilizationWindowSeconds": int(window_s)}
            for way, window_s in (("scaleDown", spec.down_window_s), ("scaleUp", spec.up_window_s))
        }
    return {
        "apiVersion": HORIZONTAL_POD_AUTOSCALER.api_version,
        "kind": HORIZONTAL_POD_AUTOSCALER.kind,
        "metadata": {
            "name": name_of(revision),
            "namespace": namespace_of(revision),
            "labels": dict(labels_of(revision)),
            "annotations": dict(annotations_of(revision)),
            "ownerReferences": [owner_reference(revision)],
        },
        "spec": asked,
    }


def _target(spec: MachineSpec) -> Wire:
    if spec.by_utilisation:
        return {"type": "Utilization", "averageUtilization": int(spec.target)}
    return {"type": "AverageValue", "averageValue": f"{int(spec.target)}Mi"}


def autoscaler_status(spec: MachineSpec, seen: _Seen, was: Wire, at: str) -> Wire:
    """The HorizontalPodAutoscaler's status, with Kubernetes' conditions."""
    able = {"type": "AbleToScale", "status": "True", "reason": "ReadyForNewScale"}
    active: Wire = {"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound"}
    if seen.fault:
        said = (
            "the HPA was unable to compute the replica count: failed to get "
            f"{spec.metric} utilization: {seen.fault}"
        )
        active |= {"status": "False", "reason": "FailedGetResourceMetric", "message": said}
    limited: Wire = {"type": "ScalingLimited", "status": "False", "reason": "DesiredWithinRange"}
    if "; not " in seen.answer.reason:
        limited |= {"status": "True", "reason": "Limited"}
    limited["message"] = seen.answer.reason
    status: Wire = {
        "currentReplicas": seen.before,
        "desiredReplicas": seen.answer.replicas,
        "conditions": merge_conditions(was.get("conditions") or (), [able, active, limited], at),
    }
    if seen.answer.replicas != seen.before:
        status["lastScaleTime"] = at
    elif "lastScaleTime" in was:
        status["lastScaleTime"] = was["lastScaleTime"]
    if seen.measured is not None:
        status["currentMetrics"] = [_current(spec, seen.measured)]
    return status


def _current(spec: MachineSpec, seen: Measured) -> Wire:
    if spec.by_utilisation:
        value: Wire = {"averageValue": f"{math.ceil(seen.average * 1000)}m"}
        value["averageUtilization"] = seen.percent
    else:
        value = {"averageValue": f"{math.ceil(seen.average / MEBIBYTE)}Mi"}
    return {"type": "Resource", "resource": {"name": spec.metric, "current": value}}


def _metric_of(revision: Wire) -> str:
    return autoscaling_annotations(annotations_of(revision)).get("metric") or CPU


def _request(revision: Wire, metric: str) -> float:
    """What each pod asks for; a limit without a request counts as one, as in Kubernetes."""
    resources = user_container(spec_of(revision)).get("resources") or {}
    for kind in ("requests", "limits"):
        text = (resources.get(kind) or {}).get(metric)
        if text is not None:
            return float(parse_cpu(str(text)) if metric == CPU else parse_quantity(str(text)))
    return 0.0


def _used(figures: Wire, metric: str) -> float:
    def each() -> Iterable[float]:
        for container in figures.get("containers") or ():
            text = str((container.get("usage") or {}).get(metric) or "0")
            yield float(parse_cpu(text) if metric == CPU else parse_quantity(text))

    return sum(each())
