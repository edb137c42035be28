"""The serving controllers over an API in memory, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

from hearth.api.images import Image
from hearth.api.kinds import (
    CERTIFICATE,
    DOMAIN_MAPPING,
    LEASE,
    POOLED_REPLICA_SET,
    REVISION,
    ROUTE,
    SECRET,
    SERVICE,
)
from hearth.api.meta import Wire, condition_of
from hearth.client import Client
from hearth.controllers import controllers
from hearth.controllers.revision.registry import RegistryAway
from hearth.kit.tasks import TaskGroup
from hearth.runtime import Informers
from tests.unit.fake_api import FakeApi
from tests.unit.virtual import run_virtual

START = datetime(2026, 1, 1, tzinfo=UTC)


class LoopClock:
    """Wall time that moves with the (virtual) loop."""

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> datetime:
        return START + timedelta(seconds=asyncio.get_running_loop().time())


class Notes:
    """Remembers events as (object's name, type, reason, message)."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, str, str]] = []

    def record(self, about: Wire, kind: str, reason: str, message: str) -> None:
        self.taken.append((about["metadata"]["name"], kind, reason, message))


class World:
    """An API, the controllers, and what a user and the other components do."""

    def __init__(self) -> None:
        self.api, self.notes, self.clock = FakeApi(), Notes(), LoopClock()
        self.tags: dict[str, str | Exception] = {}  #: digests in registries, by image

    async def ask_registry(self, image: Image, credentials: Any, timeout_s: float) -> str:
        """A registry that knows these tags; for others there is none."""
        await asyncio.sleep(0.05)
        found = self.tags.get(str(image), RegistryAway("no such host"))
        if isinstance(found, Exception):
            raise found
        return found

    async def settle(self, seconds: float = 0.2) -> None:
        """Let everything that follows happen; costs virtual time only."""
        await asyncio.sleep(seconds)

    def service(self, name: str = "hello", **template: Any) -> Wire:
        """Apply a Service; ``template`` gives image, annotations, name, traffic.

        ``own`` are annotations of the Service itself.
        """
        meta = {"annotations": template.get("annotations", {})}
        if "name" in template:
            meta["name"] = template["name"]
        container = {"image": template.get("image", "example.com/app:1")}
        spec: Wire = {"template": {"metadata": meta, "spec": {"containers": [container]}}}
        if "traffic" in template:
            spec["traffic"] = template["traffic"]
        own = {"name": name, "annotations": template.get("own", {})}
        return self.api.put(SERVICE, {"metadata": own, "spec": spec})

    def gateway(self, name: str = "gateway-1", programmed: int = 0, at_s: float = 0.0) -> None:
        """Renew a gateway's Lease, with what it has programmed."""
        renewed = (START + timedelta(seconds=at_s)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        meta = {
            "name": name,
            "labels": {"hearth.dev/gateway": "default"},
            "annotations": {
                "hearth.dev/programmed": str(programmed),
                "hearth.dev/programmed-domains": str(programmed),
                "hearth.dev/programmed-certificates": str(programmed),
                "hearth.dev/programmed-secrets": str(programmed),
            },
        }
        spec = {"renewTime": renewed, "leaseDurationSeconds": 30}
        self.api.put(LEASE, {"metadata": meta, "spec": spec}, "hearth-system")

    def ready_pods(self, revision: str, count: int) -> None:
        """What the pool reports."""
        status = {"readyReplicas": count, "replicas": count, "conditions": []}
        self.api.set_status(POOLED_REPLICA_SET, revision, status)

    def scale(self, revision: str, replicas: int) -> None:
        """What the autoscaler writes."""
        wire = self.api.get(POOLED_REPLICA_SET, revision)
        self.api.put(POOLED_REPLICA_SET, {**wire, "spec": {**wire["spec"], "replicas": replicas}})

    def fails(self, revision: str, reason: str, message: str) -> None:
        """What the pool reports of code that cannot run."""
        failure = {"type": "ReplicaFailure", "status": "True", "reason": reason, "message": message}
        status = {"readyReplicas": 0, "conditions": [failure]}
        self.api.set_status(POOLED_REPLICA_SET, revision, status)

    def program(self) -> None:
        """The gateway has everything that is there now."""
        versions = [
            int(wire["metadata"]["resourceVersion"])
            for kind in (ROUTE, REVISION, DOMAIN_MAPPING, CERTIFICATE, SECRET)
            for wire in self.api.all(kind)
        ]
        now_s = asyncio.get_running_loop().time()
        self.gateway(programmed=max(versions, default=0), at_s=now_s)

    def traffic(self, name: str = "hello") -> list[tuple[str, int]]:
        """Revisions and percents that the Route says."""
        status = self.api.get(ROUTE, name)["status"]
        return [(one["revisionName"], one["percent"]) for one in status.get("traffic", ())]

    def condition(self, kind: Any, name: str, of: str = "Ready") -> tuple[str, str, str]:
        """Status, reason and message."""
        one = condition_of(self.api.get(kind, name), of) or {}
        return one.get("status", ""), one.get("reason", ""), one.get("message", "")


def tell(story: Callable[[World], Coroutine[Any, Any, None]]) -> World:
    """Run the story with the controllers beside it, in virtual time."""

    async def run() -> World:
        world = World()
        client = Client(world.api)
        informers = Informers(client)
        parts = controllers(
            client, informers, domain="localhost", port=8080,
            events=world.notes, clock=world.clock, ask_registry=world.ask_registry,
        )  # fmt: skip
        tasks = TaskGroup()
        tasks.start(informers.run(), name="informers")
        for part in parts:
            tasks.start(part.run(), name=part.name)
        try:
            await world.settle()
            await story(world)
        finally:
            await tasks.close()
        return world

    return run_virtual(run())[0]
