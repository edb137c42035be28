"""An autoscaler beside a fake API server and a fake pool, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hearth.api.activation import Activation, RevisionStat, StatReport
from hearth.api.kinds import CONFIG_MAP, CORE_EVENT, POD, POOLED_REPLICA_SET, REVISION
from hearth.api.meta import ObjectKey, spec_of
from hearth.autoscaler import ShardAutoscaler
from hearth.client import Client
from hearth.kit.clock import SystemClock
from hearth.runtime import EventRecorder, Informers
from tests.unit.fake_api import FakeApi
from tests.unit.virtual import run_virtual

SETS = POOLED_REPLICA_SET.plural
KEY = ObjectKey("root", "default", "app")


class LoopClock(SystemClock):
    """The virtual time of the loop: a story begins on a Tuesday at five to eight."""

    def monotonic_s(self):
        return asyncio.get_running_loop().time()

    def now(self):
        return datetime(2026, 11, 24, 7, 55, tzinfo=UTC) + timedelta(seconds=self.monotonic_s())


@dataclass
class FakeInstances:
    """Makes a ready pod ``takes_s`` after it was asked, or fails as told."""

    api: FakeApi
    takes_s: float = 0.02
    failure: Exception | None = None
    asked: list[tuple[ObjectKey, int]] = field(default_factory=list)

    async def ensure(self, key, replicas):
        self.asked.append((key, replicas))
        await asyncio.sleep(self.takes_s)
        if self.failure is not None:
            raise self.failure
        make_ready(self.api, key.name, replicas)
        return Activation(f"{key.namespace}/{key.name}-0", "10.0.0.1:8080", {}, "pool")


def make_revision(
    api, name="app", *, replicas=0, state="active", ready=True, schedule="", **annotations
):
    named = {f"autoscaling.knative.dev/{k.replace('_', '-')}": v for k, v in annotations.items()}
    if schedule:
        named["hearth.dev/scheduled-min-scale"] = schedule
    meta = {
        "name": name,
        "labels": {"serving.knative.dev/routingState": state},
        "annotations": named,
    }
    conditions = [{"type": "Ready", "status": "True" if ready else "Unknown"}]
    api.put(REVISION, {"metadata": meta, "spec": {}, "status": {"conditions": conditions}})
    api.put(POOLED_REPLICA_SET, {"metadata": {"name": name}, "spec": {"replicas": replicas}})


def make_ready(api, name, count):
    """Give the revision exactly ``count`` ready pods."""
    for number in range(count):
        meta = {"name": f"{name}-{number}", "labels": {"serving.knative.dev/revision": name}}
        ready = [{"type": "Ready", "status": "True"}]
        status = {"phase": "Running", "podIP": "10.0.0.1", "conditions": ready}
        spec = {"containers": [{"name": "user-container", "image": "x"}]}
        api.put(POD, {"metadata": meta, "spec": spec, "status": status})
    for pod in api.all(POD):
        own, _, number = pod["metadata"]["name"].rpartition("-")
        if own == name and int(number) >= count:
            api.remove(POD, pod["metadata"]["name"])


@dataclass
class Rig:
    """What a story has at hand."""

    api: FakeApi
    instances: FakeInstances
    autoscaler: ShardAutoscaler

    def replicas(self, name="app"):
        return spec_of(self.api.get(POOLED_REPLICA_SET, name))["replicas"]

    def scaled(self):
        """How many times a scale was written."""
        return sum(path.endswith(f"/{SETS}/{KEY.name}") for _, path in self.api.writes)

    def configure(self, **data):
        """Set the data of ``config-autoscaler``."""
        meta = {"name": "config-autoscaler", "namespace": "knative-serving"}
        self.api.put(CONFIG_MAP, {"metadata": meta, "data": data})

    def events(self):
        return [event["message"] for event in self.api.all(CORE_EVENT)]

    async def report(self, name="app", *, gateway="g", **figures):
        stats = [RevisionStat("default", name, **figures)]
        await self.autoscaler.report(StatReport(gateway, 0.1, stats))

    async def load(self, seconds, *, follow=False, **figures):
        """Report the figures every 100 ms; with ``follow`` the pods are what was asked for."""
        for _ in range(round(seconds * 10)):
            await self.report(**figures)
            await asyncio.sleep(0.1)
            if follow:
                make_ready(self.api, "app", self.replicas())

    async def idle(self, seconds):
        """Let time pass; the pods are what was asked for."""
        for _ in range(round(seconds)):
            await asyncio.sleep(1)
            make_ready(self.api, "app", self.replicas())


def run_story(story, prepare=lambda api: None):
    """Run the story beside an autoscaler; what ``prepare`` makes is there when that starts."""

    async def told():
        api = FakeApi()
        prepare(api)
        client, instances = Client(api), FakeInstances(api)
        informers, clock = Informers(client), LoopClock()
        events = EventRecorder(client, "test", clock)
        autoscaler = ShardAutoscaler(client, informers, instances, clock, events)
        parts = [informers.run, events.run, *(part.run for part in autoscaler.parts())]
        tasks = [asyncio.create_task(part()) for part in parts]
        await asyncio.sleep(1)
        try:
            return await story(Rig(api, instances, autoscaler))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    return run_virtual(told())[0]
