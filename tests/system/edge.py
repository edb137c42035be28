"""A gateway on the real Envoy: objects go into an API in memory, the autoscaler is scripted."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from aiohttp import web

from hearth.api.activation import (
    ActivateRequest,
    Activation,
    ActivationError,
    ActivationFailure,
    RevisionStat,
    StatReport,
)
from hearth.api.errors import NotFound
from hearth.api.kinds import DOMAIN_MAPPING, LEASE, POD, REVISION, ROUTE
from hearth.api.meta import ROOT, ObjectKey, annotations_of, resource_version_of
from hearth.api.names import (
    PROGRAMMED_ANNOTATION,
    PROGRAMMED_DOMAINS_ANNOTATION,
    REVISION_LABEL,
    SYSTEM_NAMESPACE,
    TARGET_ANNOTATION,
)
from hearth.client import Client
from hearth.gateway import Gateway, GatewaySettings
from hearth.gateway.core.routing import cluster_name
from hearth.gateway.xds import ENDPOINTS
from hearth.kit.clock import SystemClock
from hearth.runtime import Informers
from tests.system.running import command_line, processes_below
from tests.unit.fake_api import FakeApi

Answer = Activation | ActivationFailure | Exception


class Autoscaler:
    """Answers with what is set for a revision, as soon as it is set; remembers what it is told."""

    def __init__(self) -> None:
        self.asked: list[ActivateRequest] = []
        self.stats: defaultdict[str, list[RevisionStat]] = defaultdict(list)
        self._answers: dict[str, list[Answer]] = {}
        self._news = asyncio.Condition()

    async def answers(self, revision: str, *answers: str | Answer) -> None:
        """Give these in turn, the last for ever; a text is an address from the pool."""
        made = [Activation("p", a, source="pool") if isinstance(a, str) else a for a in answers]
        async with self._news:
            self._answers[revision] = made
            self._news.notify_all()

    async def activate(self, request: ActivateRequest) -> Activation:
        self.asked.append(request)
        async with self._news:
            await self._news.wait_for(lambda: self._answers.get(request.revision))
        answers = self._answers[request.revision]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, ActivationFailure):
            raise ActivationError(answer)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def report(self, report: StatReport) -> None:
        for stat in report.stats:
            self.stats[stat.revision].append(stat)

    def last(self, revision: str) -> RevisionStat | None:
        """What was told of it last."""
        return self.stats[revision][-1] if self.stats[revision] else None


class Edge:
    """One gateway and the world it sees."""

    def __init__(self, state: Path, **settings: Any) -> None:
        self.api = FakeApi()
        self.autoscaler = Autoscaler()
        client = Client(self.api)
        self.informers = Informers(client)
        told = GatewaySettings(name="g", state=state, port=0, **settings)
        self.gateway = Gateway(client, self.informers, self.autoscaler, told, SystemClock())
        self.port = self.gateway.http_port
        self.session: aiohttp.ClientSession

    # Objects

    def revision(
        self,
        name: str,
        *,
        h2c: bool = False,
        annotations: dict[str, str] | None = None,
        **spec: object,
    ) -> None:
        """A Revision, as its controller makes it; ``spec`` has names like ``timeoutSeconds``."""
        port = {"name": "h2c" if h2c else "http1", "containerPort": 8080}
        whole = {
            "timeoutSeconds": 30,
            "containers": [{"image": "i", "ports": [port]}],
            **spec,
        }
        meta = {"name": name, "annotations": annotations or {}}
        self.api.put(REVISION, {"metadata": meta, "spec": whole})

    async def route(
        self, name: str, *traffic: dict[str, object], local: bool = False, **annotations: str
    ) -> None:
        """A Route with this traffic; returns once the gateway says that Envoy has it.

        ``annotations`` are the status's, of ``hearth.dev``, with underscores.
        """
        self.api.put(ROUTE, {"metadata": {"name": name}, "spec": {}})
        domain = "svc.cluster.local" if local else f"localhost:{self.port}"
        for target in traffic:
            if "tag" in target:
                target["url"] = f"http://{target['tag']}-{name}.default.{domain}"
        url = f"http://{name}.default.{domain}"
        said = {f"hearth.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
        status = {"url": url, "traffic": list(traffic), "annotations": said}
        wire = self.api.set_status(ROUTE, name, status)
        wanted = int(resource_version_of(wire))
        await until(lambda: self.programmed >= wanted, 10, f"route {name} is programmed")

    async def mapping(
        self, host: str, target: str, *, claimed: bool = True, spec: dict[str, object] | None = None
    ) -> None:
        """A DomainMapping, as its controller leaves it; returns once Envoy has it."""
        self.api.put(DOMAIN_MAPPING, {"metadata": {"name": host}, "spec": spec or {}})
        status = {
            "conditions": [{"type": "DomainClaimed", "status": str(claimed)}],
            "annotations": {TARGET_ANNOTATION: target},
        }
        wanted = int(resource_version_of(self.api.set_status(DOMAIN_MAPPING, host, status)))
        await until(lambda: self.noted(PROGRAMMED_DOMAINS_ANNOTATION) >= wanted, 10, f"{host}")

    async def service(self, name: str, **revision: Any) -> str:
        """A service of one revision, at zero; returns the revision."""
        made = f"{name}-00001"
        self.revision(made, **revision)
        await self.route(name, {"revisionName": made, "percent": 100})
        return made

    def pod(self, name: str, revision: str, port: int, *, ready: bool = True) -> None:
        """A pod of the revision that listens on a port of the loopback."""
        meta = {
            "name": name,
            "labels": {REVISION_LABEL: revision},
            "annotations": {"hearth.dev/app-port": str(port)},
        }
        conditions = [{"type": "Ready", "status": str(ready)}]
        status = {"phase": "Running", "podIP": "127.0.0.1", "conditions": conditions}
        self.api.put(POD, {"metadata": meta, "spec": {}, "status": status})

    async def has_instance(self, revision: str) -> None:
        """Return once Envoy has an instance of the revision."""
        key = ObjectKey(ROOT, "default", revision)
        programming, resources = self.gateway._programming, self.gateway._resources
        await until(lambda: programming.instance_of(key) is not None, 10, f"{revision} is seen")
        await resources.wait_acknowledged(ENDPOINTS, [cluster_name(key)])

    @property
    def programmed(self) -> int:
        """What the gateway's Lease says of Routes."""
        return self.noted(PROGRAMMED_ANNOTATION)

    def noted(self, annotation: str) -> int:
        """What the gateway's Lease says."""
        try:
            lease = self.api.get(LEASE, "gateway-g", SYSTEM_NAMESPACE)
        except NotFound:
            return -1
        return int(annotations_of(lease)[annotation])

    # Requests

    def request(self, name: str, path: str = "/", method: str = "GET", **more):
        """A request to ``NAME.default.localhost``; ``host`` and port ``at`` in ``more`` win."""
        host = more.pop("host", None) or f"{name}.default.localhost:{self.port}"
        headers = {"Host": host, **more.pop("headers", {})}
        url = f"http://127.0.0.1:{more.pop('at', self.port)}{path}"
        return self.session.request(method, url, headers=headers, **more)

    async def get(self, name: str, path: str = "/", **more) -> tuple[int, str]:
        """Status and body."""
        async with self.request(name, path, **more) as response:
            return response.status, await response.text()

    def gets(self, count: int, name: str) -> list[asyncio.Task[tuple[int, str]]]:
        """That many requests at once."""
        return [asyncio.create_task(self.get(name)) for _ in range(count)]

    async def held(self, count: int, revision: str) -> None:
        """Return once as many requests are held as the autoscaler is told."""
        await until(
            lambda: (last := self.autoscaler.last(revision)) and last.held == count,
            10,
            f"{count} requests are held",
        )

    @property
    def envoy(self) -> int:
        """Envoy's process id."""
        found = [p for p in processes_below(os.getpid()) if "_bin/envoy" in command_line(p)]
        [pid] = [p for p in found if str(self.gateway._settings.state) in command_line(p)]
        return pid


@contextlib.asynccontextmanager
async def open_edge(state: Path, **settings: Any) -> AsyncIterator[Edge]:
    """A gateway that answers; ``settings`` are those of ``GatewaySettings``."""
    edge = Edge(state, **settings)
    tasks = [asyncio.create_task(edge.informers.run())]
    tasks += [asyncio.create_task(part.run()) for part in edge.gateway.parts()]
    ready = asyncio.create_task(edge.gateway.ready.wait())
    connector = aiohttp.TCPConnector(limit=0)
    try:
        await asyncio.wait([ready, *tasks], timeout=30, return_when=asyncio.FIRST_COMPLETED)
        assert ready.done(), [task for task in tasks if task.done()]
        async with aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=60)
        ) as edge.session:
            yield edge
    finally:
        for task in (ready, *tasks):
            task.cancel()
        await asyncio.gather(ready, *tasks, return_exceptions=True)


class Backend:
    """An instance: says who it is and what it got."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = 0
        self.requests = 0
        self.go_on = asyncio.Event()  #: what ``/wait`` and ``/events`` wait for
        self._runner: web.AppRunner

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self, port: int = 0) -> None:
        app = web.Application(client_max_size=2**30)
        app.router.add_get("/ws", self._socket)
        app.router.add_get("/events", self._events)
        app.router.add_get("/wait", self._wait)
        app.router.add_get("/headers", self._headers)
        app.router.add_route("*", "/", self._root)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, backlog=4096)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _root(self, request: web.Request) -> web.Response:
        self.requests += 1
        size = 0
        async for piece in request.content.iter_any():
            size += len(piece)
        headers = {"hearth-retry": "1"} if "retry" in request.query else None
        return web.Response(text=f"{self.name} {size}" if size else self.name, headers=headers)

    async def _wait(self, request: web.Request) -> web.Response:
        self.requests += 1
        await self.go_on.wait()
        return web.Response(text=self.name)

    async def _headers(self, request: web.Request) -> web.Response:
        return web.json_response({name.lower(): value for name, value in request.headers.items()})

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(f"{self.name} {message.data}")
        return socket

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: first\n\n")
        await self.go_on.wait()
        await response.write(b"data: second\n\n")
        return response


@contextlib.asynccontextmanager
async def backend(name: str = "b1", port: int = 0) -> AsyncIterator[Backend]:
    """An instance that listens."""
    made = Backend(name)
    await made.start(port)
    try:
        yield made
    finally:
        await made.stop()


async def until(holds: Callable[[], object], timeout_s: float = 10, what: str = "") -> None:
    """Try until it is true."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(0.01)


def play(story: Callable[[], Awaitable[None]]) -> None:
    """Run as ``hearth`` runs: on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())


def kill(pid: int) -> None:
    """The hard way."""
    os.kill(pid, signal.SIGKILL)
