"""Run a suite's programs as packages in claimed pods instead of as images.

A proxy in front of the API server rewrites the Services that the tests create: the image becomes
the runtime's, its program a package, its user the pod's. What a pod of an image gives to an app, a
warm pod that becomes the app must give as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from hearth.api.names import CODE_ANNOTATION, PYTHON_RUNTIME_IMAGE
from hearth.client.kubeconfig import Server, load_kubeconfig
from hearth.loader.confine import CODE_TARGET
from tests.knative.images import FOLDER, USER
from tests.knative.platform import REPOSITORY

_OF_THE_HOP = ("host", "connection", "content-length", "transfer-encoding", "accept-encoding")


@contextlib.contextmanager
def packaged(kubeconfig: Path, programs: list[Path], folder: Path) -> Iterator[Path]:
    """A kubeconfig of the proxy, for the length of a block.

    Args:
        kubeconfig: of the platform.
        programs: those that images are made of; each is named like its image.
        folder: where packages and the kubeconfig go.
    """
    packages = {program.name: _package(program, folder) for program in programs}
    loop = asyncio.new_event_loop()
    port: asyncio.Future[int] = loop.create_future()
    proxy = _Proxy(load_kubeconfig(kubeconfig), packages)
    thread = threading.Thread(target=loop.run_until_complete, args=(proxy.run(port),))
    thread.start()
    own = folder / "kubeconfig"
    try:
        found = asyncio.run_coroutine_threadsafe(_shielded(port), loop).result(10)
        own.write_text(yaml.safe_dump(_kubeconfig(found)))
        yield own
    finally:
        loop.call_soon_threadsafe(proxy.over.set)
        thread.join()
        loop.close()


async def _shielded(port: asyncio.Future[int]) -> int:
    return await port


def _package(program: Path, folder: Path) -> Path:
    package = folder / program.name
    package.mkdir(parents=True, exist_ok=True)
    shutil.copy2(program, package)
    return package


def _kubeconfig(port: int) -> dict[str, Any]:
    name = "proxy"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": name, "user": {}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }


class _Proxy:
    """Hands requests on to the API server as its admin."""

    def __init__(self, server: Server, packages: dict[str, Path]) -> None:
        self._server = server
        self._packages = packages
        self.over = asyncio.Event()

    async def run(self, port: asyncio.Future[int]) -> None:
        """Serve on a free port until it is ``over``."""
        timeout = aiohttp.ClientTimeout(total=None)
        connector = aiohttp.TCPConnector(ssl=self._server.ssl or False, limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            app = web.Application(client_max_size=2**26)
            app.router.add_route("*", "/{path:.*}", lambda asked: self._pass(session, asked))
            runner = web.AppRunner(app)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=1)
            await site.start()
            port.set_result(runner.addresses[0][1])
            await self.over.wait()
            await runner.cleanup()

    async def _pass(self, session: aiohttp.ClientSession, asked: web.Request) -> web.StreamResponse:
        headers = {k: v for k, v in asked.headers.items() if k.lower() not in _OF_THE_HOP}
        if self._server.token:
            headers["Authorization"] = f"Bearer {self._server.token}"
        body = await asked.read()
        if asked.method == "POST" and asked.path.endswith("/services"):
            body = self._rewritten(body)
        url = f"{self._server.url}{self._server.prefix}{asked.path_qs}"
        async with session.request(asked.method, url, headers=headers, data=body) as got:
            kept = {k: v for k, v in got.headers.items() if k.lower() not in _OF_THE_HOP}
            answer = web.StreamResponse(status=got.status, headers=kept)
            await answer.prepare(asked)
            async for chunk in got.content.iter_any():
                await answer.write(chunk)
            await answer.write_eof()
            return answer

    def _rewritten(self, body: bytes) -> bytes:
        """A Service of one container whose image is a suite's becomes one of its package."""
        try:
            wire = json.loads(body)
            [container] = wire["spec"]["template"]["spec"]["containers"]
        except (ValueError, KeyError, TypeError):
            return body
        folder, _, name = str(container.get("image")).partition(":")[0].rpartition("/")
        if folder != REPOSITORY or name not in self._packages:
            return body
        container["image"] = PYTHON_RUNTIME_IMAGE
        container.setdefault("command", [str(CODE_TARGET / name)])
        container.setdefault("securityContext", {}).setdefault("runAsUser", USER)
        template = wire["spec"]["template"]
        annotations = template.setdefault("metadata", {}).setdefault("annotations", {})
        annotations[CODE_ANNOTATION] = self._packages[name].as_uri()
        if FOLDER in json.dumps(container):  # the test calls the program by its path in the image
            volume = {"name": "image", "hostPath": {"path": str(self._packages[name])}}
            template["spec"].setdefault("volumes", []).append(volume)
            mount = {"name": "image", "mountPath": FOLDER}
            container.setdefault("volumeMounts", []).append(mount)
        return json.dumps(wire).encode()
