"""Binds pods that have no node: what kube-scheduler does on a cluster."""

from __future__ import annotations

from collections import defaultdict

from hearth.api.errors import NotFound
from hearth.api.kinds import NAMESPACE, NODE, POD
from hearth.api.meta import (
    ObjectKey,
    Wire,
    condition_of,
    is_condition_true,
    is_deleting,
    labels_of,
    merge_conditions,
    name_of,
    spec_of,
    status_of,
)
from hearth.api.pods import is_finished
from hearth.capacity.core.choice import choose_node
from hearth.client import Client
from hearth.kit.clock import Clock
from hearth.kit.tasks import Part
from hearth.kit.times import rfc3339
from hearth.runtime import Change, EventRecorder, Informers, Result, WorkQueue, run_controller

_BY_NODE = "node"


class Placement:
    """Gives each pod a node. Belongs to one event loop."""

    def __init__(
        self, client: Client, informers: Informers, clock: Clock, events: EventRecorder
    ) -> None:
        self._client = client
        self._clock = clock
        self._events = events
        self._informers = informers
        self._queue = WorkQueue()
        self._nodes = informers.of(NODE, label_selector="")
        self._namespaces = informers.of(NAMESPACE, label_selector="")
        self._pods = informers.of(POD, label_selector="")
        self._pods.add_index(_BY_NODE, _node_of)
        self._placed: dict[ObjectKey, tuple[str, Wire]] = {}  #: bound, but not in the cache yet
        self._unplaced: set[ObjectKey] = set()
        self._pods.on_change(self._pod_changed)
        self._nodes.on_change(self._node_changed)

    def parts(self) -> list[Part]:
        """What must run."""
        return [Part("placement", self._run)]

    async def _run(self) -> None:
        await self._informers.wait_synced()
        await run_controller("placement", self, self._queue, workers=4)

    async def reconcile(self, key: ObjectKey) -> Result:
        """Bind the pod, or say why it cannot be."""
        pod = self._pods.get(key)
        if pod is None or is_deleting(pod) or spec_of(pod).get("nodeName"):
            self._unplaced.discard(key)
            return Result()
        namespaces = {name_of(one): labels_of(one) for one in self._namespaces.list()}
        node, why = choose_node(pod, self._nodes.list(), self._on_node(), namespaces)
        if not node:
            self._unplaced.add(key)
            await self._say(key, pod, why)
            return Result()
        self._unplaced.discard(key)
        await self._bind(key, pod, node)
        return Result()

    async def _bind(self, key: ObjectKey, pod: Wire, node: str) -> None:
        self._placed[key] = (node, pod)
        try:
            target = {"target": {"kind": "Node", "name": node}}
            await self._client.create(
                POD, target, namespace=key.namespace, name=key.name, subresource="binding"
            )
        except NotFound:
            self._placed.pop(key, None)
        except BaseException:
            self._placed.pop(key, None)
            raise

    def _on_node(self) -> dict[str, list[Wire]]:
        found: defaultdict[str, list[Wire]] = defaultdict(list)
        for node in self._nodes.list():
            pods = self._pods.by_index(_BY_NODE, name_of(node))
            found[name_of(node)] = [pod for pod in pods if not is_finished(pod)]
        for name, pod in self._placed.values():
            found[name].append(pod)
        return found

    async def _say(self, key: ObjectKey, pod: Wire, why: str) -> None:
        was = condition_of(pod, "PodScheduled") or {}
        if was.get("message") == why:
            return
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        self._events.record(pod, "Warning", "FailedScheduling", why)
        conditions = merge_conditions(
            status_of(pod).get("conditions") or (),
            [{**condition, "message": why}],
            rfc3339(self._clock.now()),
        )
        try:
            await self._client.patch(
                POD, key.namespace, key.name, {"status": {"conditions": conditions}},
                subresource="status",
            )  # fmt: skip
        except NotFound:
            return

    def _pod_changed(self, change: Change) -> None:
        if change.new is not None and not spec_of(change.new).get("nodeName"):
            self._queue.add(change.key)
            return
        self._placed.pop(change.key, None)
        placed = change.old is None or not spec_of(change.old).get("nodeName")
        if placed or change.new is None or is_finished(change.object):
            self._retry()

    def _node_changed(self, change: Change) -> None:
        if change.old is None or _room(change.old) != _room(change.object):
            self._retry()

    def _retry(self) -> None:
        for key in self._unplaced:
            self._queue.add(key)


def _room(node: Wire) -> tuple[object, ...]:
    """What of a node placement depends on: heartbeats change none of it."""
    status = status_of(node)
    taken = is_condition_true(node, "Ready"), spec_of(node).get("unschedulable")
    return *taken, spec_of(node).get("taints"), labels_of(node), status.get("allocatable")


def _node_of(pod: Wire) -> list[str]:
    return [str(spec_of(pod).get("nodeName") or "")]
