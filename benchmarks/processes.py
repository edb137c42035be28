"""The platform as four processes, each started again when it dies, as systemd would do it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from benchmarks.platform import HEARTH, descendants, title
from hearth.client import Client
from hearth.client.http import HttpHandler
from hearth.client.kubeconfig import load_kubeconfig
from hearth.gateway.envoy import free_port

NAMES = ("apiserver", "controller", "gateway", "node")
_SAID = {
    "apiserver": "kubeconfig",
    "controller": "autoscaler",
    "gateway": "gateway ",
    "node": "node        ready",
}
_RESTART_S = 0.1  #: systemd's RestartSec
_END_S = 15.0


class Processes:
    """The four, and who watches over them."""

    def __init__(self, folder: Path, pool: int) -> None:
        self.folder = folder
        self.port = free_port("127.0.0.1", 0)
        ports = {name: free_port("127.0.0.1", 0) for name in ("api", "autoscaler")}
        state = folder / "state"
        self.kubeconfig = state / "kubeconfig"
        as_user = {name: ["--kubeconfig", f"{state}/{name}.kubeconfig"] for name in NAMES}
        self._commands = {
            "apiserver": ["--state", str(state), "--api-port", str(ports["api"])],
            "controller": [*as_user["controller"], "--autoscaler-port", str(ports["autoscaler"]),
                           "--http-port", str(self.port), "--pool", str(pool)],
            "gateway": [*as_user["gateway"], "--state", str(folder / "gateway"), "--http-port",
                        str(self.port), "--autoscaler", f"https://127.0.0.1:{ports['autoscaler']}"],
            "node": [*as_user["node"], "--state", str(folder / "node")],
        }  # fmt: skip
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self.client: Client

    async def start(self) -> None:
        """Start one after the other, and watch over them."""
        for name in NAMES:
            process = await self._start(name)
            await self._up(name)
            self._keepers.append(asyncio.create_task(self._keep(name, process), name=name))

    async def stop(self) -> None:
        """End them in order."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for name in ("gateway", "node", "controller", "apiserver"):
            process = self._running.get(name)
            if process is not None and process.returncode is None:
                process.send_signal(signal.SIGINT)
                await _gone(process)

    async def _start(self, name: str) -> asyncio.subprocess.Process:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                HEARTH, name, *self._commands[name], stdout=log, stderr=log
            )
        self._running[name] = process
        return process

    async def _keep(self, name: str, process: asyncio.subprocess.Process) -> None:
        while True:
            await process.wait()
            await asyncio.sleep(_RESTART_S)
            process = await self._start(name)

    async def _up(self, name: str) -> None:
        async with asyncio.timeout(30):
            while not self._has_said(name):  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.02)

    def _has_said(self, name: str) -> bool:
        said = (self.folder / f"{name}.log").read_text()
        return bool(re.search(f"^{_SAID[name]}", said, re.M))

    def pid(self, part: str) -> int:
        """Of one of the four, of ``envoy``, ``zygote``, or of an app by its revision's name."""
        if part in NAMES:
            return self._running[part].pid
        if part == "envoy":
            record = json.loads((self.folder / "gateway" / "gateway" / "envoy.pid").read_text())
            return int(record["pid"])
        wanted: Callable[[str], bool] = (
            (lambda said: said.startswith("hearth zygote"))
            if part == "zygote"
            else (lambda said: said.startswith(f"default/{part}"))
        )
        return next(p for p in descendants(self._running["node"].pid) if wanted(title(p)))

    def kill(self, part: str) -> None:
        """The hard way."""
        os.kill(self.pid(part), signal.SIGKILL)


async def _gone(process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(_END_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def processes(pool: int) -> AsyncIterator[Processes]:
    """Run the four in an empty folder; end them afterwards."""
    with tempfile.TemporaryDirectory(prefix="hearth-four-") as folder:
        found = Processes(Path(folder), pool)
        try:
            await found.start()
            async with HttpHandler.to(load_kubeconfig(found.kubeconfig)) as handler:
                found.client = Client(handler, field_manager="bench", tenant_in_path=False)
                yield found
        finally:
            await found.stop()
