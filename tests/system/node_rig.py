"""A node agent with an API server and nothing else: what tests of the node start and break."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hearth.api.errors import NotFound
from hearth.api.inside import Terminator
from hearth.api.kinds import POD
from hearth.api.meta import annotations_of, name_of, status_of
from hearth.api.pods import app_address, is_ready
from hearth.apiserver import open_apiserver
from hearth.client import Client
from hearth.client.client import read_all
from hearth.kit.clock import SystemClock
from hearth.loader.protocol import SPECIALISE_PATH, Package, Specialisation
from hearth.node import NodeAgent, NodeSettings
from hearth.runtime import EventRecorder, Informers

NODE = "node-under-test"
SECRET = "a secret"
#: Whether pods have limits and networks of their own, or are plain processes.
MODES = [
    pytest.param(
        "on", id="contained", marks=pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
    ),
    pytest.param("off", id="plain"),
]


def _no_terminator() -> Terminator:
    raise AssertionError("nobody has enabled TLS in front of pods")


@contextlib.asynccontextmanager
async def node(folder: Path, mode: str, **settings: Any) -> AsyncIterator[Rig]:
    """A running node; ends with its block."""
    async with open_apiserver(folder / "api", "127.0.0.1", 0) as api:
        client = Client(api.handler, token=api.tokens["admin"], field_manager="test")
        informers, clock = Informers(client), SystemClock()
        events = EventRecorder(client, "test", clock)
        own = NodeSettings(
            name=NODE, state=folder / "node", cgroups=mode, netns=mode, drain_s=0.0, **settings
        )
        agent = NodeAgent(client, informers, own, clock, events, _no_terminator)
        runs = [part.run for part in (*api.parts, *agent.parts())]
        runs += [informers.run, events.run]
        tasks = [asyncio.ensure_future(run()) for run in runs]
        try:
            await _until_ready(agent, tasks)
            yield Rig(client, agent, folder)
        finally:
            for task in reversed(tasks):
                task.cancel()
                await asyncio.wait([task])
            for task in tasks:
                if not task.cancelled() and task.exception() is not None:
                    raise task.exception()


async def _until_ready(agent: NodeAgent, tasks: list[asyncio.Future[None]]) -> None:
    ready = asyncio.ensure_future(agent.ready.wait())
    try:
        first = asyncio.FIRST_COMPLETED
        await asyncio.wait([ready, *tasks], timeout=30, return_when=first)
        assert ready.done(), "the node is not ready: a part has ended, or 30 s are over"
    finally:
        ready.cancel()


class Rig:
    """What a test does with a node."""

    def __init__(self, client: Client, agent: NodeAgent, folder: Path) -> None:
        self.client = client
        self.agent = agent
        self.folder = folder

    def source(self, name: str, **files: str) -> str:
        """A directory of code; returns its URL."""
        folder = self.folder / name
        for file, text in files.items():
            path = folder / file.replace("__py", ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return f"file://{folder}"

    async def create(self, name: str, code: str = "", **spec: Any) -> dict[str, Any]:
        """A pod on the node: one that runs ``code``, or a warm one."""
        container: dict[str, Any] = {
            "name": "user-container",
            "image": "hearth.dev/runtimes/python",
            "ports": [{"containerPort": 8080}],
            **spec.pop("container", {}),
        }
        meta: dict[str, Any] = {"name": name, "namespace": "default"}
        if code:
            meta["annotations"] = {"hearth.dev/code": code, **spec.pop("annotations", {})}
        else:
            digest = hashlib.sha256(SECRET.encode()).hexdigest()
            meta["labels"] = {"hearth.dev/podpool": "python"}
            container["env"] = [
                {"name": "HEARTH_LOADER_SECRET_SHA256", "value": digest},
                {"name": "HEARTH_PRELOAD", "value": "flask"},
            ]
            spec = {"restartPolicy": "Never", **spec}
        whole = {"nodeName": NODE, "containers": [container], **spec}
        return await self.client.create(POD, {"metadata": meta, "spec": whole})

    async def ready(self, name: str) -> dict[str, Any]:
        """The pod, once it is ready."""

        async def look() -> dict[str, Any] | None:
            pod = await self.client.get(POD, "default", name)
            return pod if is_ready(pod) else None

        return await eventually(look, f"pod {name} is ready")

    async def state(self, name: str, kind: str, field: str = "state") -> dict[str, Any]:
        """The container's state, once it is of this kind."""

        async def look() -> dict[str, Any] | None:
            pod = await self.client.get(POD, "default", name)
            for status in status_of(pod).get("containerStatuses") or ():
                return (status.get(field) or {}).get(kind)
            return None

        return await eventually(look, f"pod {name} is {kind}")

    async def gone(self, name: str) -> None:
        """Return once the object is gone."""

        async def look() -> bool:
            try:
                await self.client.get(POD, "default", name)
            except NotFound:
                return True
            return False

        await eventually(look, f"pod {name} is gone")

    async def log(self, name: str, **query: str) -> str:
        """What the pod printed."""
        path = f"/api/v1/namespaces/default/pods/{name}/log"
        return (await read_all(await self.client.raw("GET", path, query=query))).decode()

    def pid(self, pod: dict[str, Any]) -> int:
        """The process of the pod."""
        process = self.agent._workers[pod["metadata"]["uid"]]._process
        assert process is not None
        return process.pid

    async def call(self, pod: dict[str, Any], path: str = "/") -> tuple[int, bytes]:
        """Ask the app; returns status and body."""
        ip, port = app_address(pod, 8080)
        return await asyncio.to_thread(_call, ip, port, "GET", path, b"", {})

    async def specialise(
        self, warm: dict[str, Any], code: str, **more: Any
    ) -> tuple[int, dict[str, Any]]:
        """Make a warm pod an app."""
        port = int(annotations_of(warm).get("hearth.dev/control-port") or 8012)
        spec = Specialisation(revision=f"default/{name_of(warm)}", code=Package(code), **more)
        status, body = await asyncio.to_thread(
            _call, status_of(warm)["podIP"], port, "POST", SPECIALISE_PATH, spec.to_json(),
            {"Authorization": f"Bearer {SECRET}"},
        )  # fmt: skip
        return status, json.loads(body)


def _call(
    host: str, port: int, method: str, path: str, body: bytes, headers: dict[str, str]
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host, port, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()


async def eventually(look: Callable[[], Awaitable[Any]], what: str, timeout_s: float = 20) -> Any:
    """Look until there is something; returns it."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not (found := await look()):
        assert asyncio.get_running_loop().time() < deadline, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(0.02)
    return found


async def _serve(folder: Path, mode: str, pods: list[str]) -> None:
    """A node with pods of the named sources, until killed; says in ``ready.json`` what runs."""
    async with node(folder, mode) as rig:
        pids = {}
        for name in pods:
            await rig.create(name, f"file://{folder / name}")
            pod = await rig.ready(name)
            pids[name] = {"pid": rig.pid(pod), "answer": (await rig.call(pod))[1].decode()}
        (folder / "ready.tmp").write_text(json.dumps(pids))
        (folder / "ready.tmp").rename(folder / "ready.json")
        await asyncio.Event().wait()


__all__ = ["MODES", "NODE", "Rig", "eventually", "node"]

if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
