"""A running platform, seen as its users see it: commands, HTTP and API objects."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from hearth.api.kinds import Kind
from hearth.api.meta import condition_of
from hearth.client import Client
from hearth.client.http import HttpHandler
from hearth.client.kubeconfig import load_kubeconfig

HEARTH = str(Path(sys.executable).with_name("hearth"))
ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


@dataclass(frozen=True)
class Answer:
    """What an app answered."""

    status: int
    headers: dict[str, str]
    body: bytes
    took_s: float


@dataclass
class Running:
    """One ``hearth up``."""

    process: subprocess.Popen[bytes]
    state: Path

    @property
    def ready(self) -> dict[str, str]:
        """``ready.json``."""
        return dict(json.loads((self.state / "ready.json").read_text()))

    @property
    def port(self) -> int:
        """The gateway's port."""
        return urlsplit(self.ready["gateway"]).port or 80

    def hearth(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the command line against this platform."""
        environ = {**os.environ, "KUBECONFIG": self.ready["kubeconfig"]}
        command = [HEARTH, *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, env=environ, timeout=120, check=False
        )
        if check:
            assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def api(self, use: Callable[[Client], Any]) -> Any:
        """Use the API as admin: ``running.api(lambda client: client.get(…))``."""

        async def story() -> Any:
            server = load_kubeconfig(Path(self.ready["kubeconfig"]))
            async with HttpHandler.to(server) as handler:
                return await use(Client(handler, field_manager="test", tenant_in_path=False))

        return asyncio.run(story())

    def call(
        self,
        name: str,
        path: str = "/",
        *,
        method: str = "GET",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout_s: float = 60,
    ) -> Answer:
        """Send one request to ``NAME.default.localhost``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        host = f"{name}.default.localhost:{self.port}"
        started = time.monotonic()
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Host": host, **(headers or {})})
            response = connection.getresponse()
            payload = response.read()
        found = {k.lower(): v for k, v in response.getheaders()}
        return Answer(response.status, found, payload, time.monotonic() - started)

    def condition(self, kind: Kind, name: str, condition: str) -> dict[str, Any]:
        """A condition of an object in the default namespace, or an empty dict."""
        wire = self.api(lambda client: client.get(kind, "default", name))
        return condition_of(wire, condition) or {}

    def stop(self, how: signal.Signals = signal.SIGINT, timeout_s: float = 15) -> float:
        """End it; returns the seconds that took."""
        started = time.monotonic()
        self.process.send_signal(how)
        self.process.wait(timeout_s)
        return time.monotonic() - started


def start(state: Path, *flags: str, pool: int = 3, wait: bool = True) -> Running:
    """Start ``hearth up`` on free ports and wait until it is ready."""
    state.mkdir(parents=True, exist_ok=True)
    command = [HEARTH, "up", "--state", str(state), "--http-port", "0", "--api-port", "0"]
    command += ["--pool", str(pool), *flags]
    with (state.parent / f"{state.name}.log").open("ab") as log:
        environ = {**os.environ, "XDG_STATE_HOME": str(state.parent / "xdg")}  # not the user's
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environ)
    running = Running(process, state)
    if wait:
        eventually(lambda: _is_ready(running), 60, "hearth up is ready")
    return running


def _is_ready(running: Running) -> bool:
    if running.process.poll() is not None:
        log = running.state.parent / f"{running.state.name}.log"
        pytest.fail(
            f"hearth up ended with {running.process.returncode}:\n{log.read_text()[-4000:]}"
        )
    ready = running.state / "ready.json"
    return ready.exists() and json.loads(ready.read_text()).get("pid") == running.process.pid


@contextlib.contextmanager
def up(state: Path, *flags: str, pool: int = 3) -> Iterator[Running]:
    """A ``hearth up`` for the length of a block."""
    running = start(state, *flags, pool=pool)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.send_signal(signal.SIGINT)
            try:
                running.process.wait(15)
            except subprocess.TimeoutExpired:
                running.process.kill()
                running.process.wait(5)


def eventually(
    holds: Callable[[], Any], timeout_s: float = 20, what: str = "the condition holds"
) -> Any:
    """Try until it is true; returns what it gave."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = holds()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}; last was {found!r}"
        time.sleep(0.05)


def processes_below(pid: int) -> list[int]:
    """All descendants of a process."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [d for child in children for d in (int(child), *processes_below(int(child)))]


def is_alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def command_line(pid: int) -> str:
    """What the process is called; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return ""


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
