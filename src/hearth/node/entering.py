"""Runs commands inside a pod that is a process: its namespaces, cgroups, user and environment."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
import termios
import threading
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from hearth.api.logs import Query
from hearth.node.logreading import read_log, run_of
from hearth.node.logs import ContainerLog, RuntimeLog
from hearth.node.streaming import STDERR, STDOUT, CannotRun, Streams

#: Joins the cgroups (its arguments up to ``--``), then becomes what follows.
_JOIN = (
    'while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs" || exit 126; shift; done; shift; '
    'exec "$@"'
)
CONNECT_TIMEOUT_S = 5.0
_TYPE_PAUSE_S = 0.005
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
OUTPUT_MAX_BYTES = 16 * 2**10  #: of a probe's command


@dataclass(frozen=True, slots=True)
class Inside:
    """Where a pod's processes live."""

    pid: int  #: one of them
    cgroups: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def command(self, command: Sequence[str], *, tty: bool = False) -> list[str]:
        """The command line that runs ``command`` in there; with ``tty`` on our terminal.

        Raises:
            ProcessLookupError: the pod has ended.
        """
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
            own = [name for name in ("net", "mnt", "user") if not _is_ours(self.pid, name)]
        except OSError as error:
            raise ProcessLookupError(f"process {self.pid} has ended") from error
        ids = {words[0]: words[1] for line in status.splitlines() if len(words := line.split()) > 1}
        names = {"net": "--net", "mnt": "--mount", "user": "--user"}
        enter = ["nsenter", f"--target={self.pid}", "--wd", *(names[name] for name in own)]
        if "user" in own:
            enter.append("--preserve-credentials")
        elif int(ids["Uid:"]) != os.geteuid():
            enter += [f"--setgid={ids['Gid:']}", f"--setuid={ids['Uid:']}"]
        join = ["/bin/sh", "-c", _JOIN, "join", *self.cgroups, "--"] if self.cgroups else []
        return [*join, *enter, "--", *command]

    async def run(self, command: Sequence[str]) -> tuple[int, str]:
        """Run a command to its end; returns its exit code and what it printed.

        It is killed when the caller is cancelled.
        """
        process = await asyncio.create_subprocess_exec(
            *self.command(command),
            env=dict(self.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            out, _ = await process.communicate()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        return process.returncode or 0, out[-OUTPUT_MAX_BYTES:].decode(errors="replace")


def _is_ours(pid: int, namespace: str) -> bool:
    return os.readlink(f"/proc/{pid}/ns/{namespace}") == os.readlink(f"/proc/self/ns/{namespace}")


class Within(Protocol):
    """How a container is entered."""

    @property
    def pid(self) -> int:
        """A process in the pod's network."""
        ...

    @property
    def environment(self) -> Mapping[str, str]:
        """Of the command that enters."""
        ...

    def command(self, command: Sequence[str], *, tty: bool = False) -> list[str]:
        """The command line that runs ``command`` in it; raises ``ProcessLookupError``."""
        ...


class EnteredContainer:
    """A container that a command line enters: a ``streaming.Enterable``."""

    def __init__(
        self, inside: Within, log: ContainerLog | RuntimeLog, ports: Mapping[int, int]
    ) -> None:
        """Enter ``inside``; ``ports`` are those that are others here than in the spec."""
        self._inside = inside
        self._log = log
        self._ports = ports

    async def exec(
        self, command: Sequence[str], streams: Streams, *, stdin: bool, tty: bool
    ) -> int:
        """Run a command in it until it ends; returns its exit code."""
        try:
            line = self._inside.command(command, tty=tty)
        except ProcessLookupError as error:
            raise CannotRun(str(error)) from error
        if tty:
            return await self._exec_on_terminal(line, streams, stdin=stdin)
        process = await self._start(line, PIPE if stdin else DEVNULL, PIPE, PIPE)
        assert process.stdout is not None
        assert process.stderr is not None
        feeding = asyncio.ensure_future(_feed(streams, process.stdin)) if process.stdin else None
        try:
            await asyncio.gather(
                _pass_on(process.stdout, streams, STDOUT), _pass_on(process.stderr, streams, STDERR)
            )
            return _exit_code(await process.wait())
        finally:
            if feeding is not None:
                feeding.cancel()
            await _ended(process)

    async def _exec_on_terminal(self, line: Sequence[str], streams: Streams, *, stdin: bool) -> int:
        ours, theirs = os.openpty()
        try:
            process = await self._start(["setsid", "--ctty", *line], theirs, theirs, theirs)
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        os.set_blocking(ours, False)
        beside = [asyncio.ensure_future(_resize(streams, ours))]
        if stdin:
            beside.append(asyncio.ensure_future(_type(streams, ours)))
        try:
            with contextlib.suppress(OSError):  # EIO: nobody has the terminal open any more
                while data := await _read_terminal(ours):
                    await streams.write(STDOUT, data)
            return _exit_code(await process.wait())
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            os.close(ours)
            await _ended(process)

    async def _start(
        self, line: Sequence[str], stdin: int, stdout: int, stderr: int
    ) -> asyncio.subprocess.Process:
        environment = {"TERM": "xterm", **self._inside.environment}
        try:
            return await asyncio.create_subprocess_exec(
                *line, env=environment, stdin=stdin, stdout=stdout, stderr=stderr
            )
        except OSError as error:
            raise CannotRun(f"cannot enter the pod: {error}") from error

    async def attach(self, streams: Streams, *, stdin: bool, tty: bool) -> None:
        """Pass on what it says from now on; it takes no input: it is no terminal's."""
        if stdin:
            raise CannotRun("the container has no input: a process's stdin is empty")
        files = self._log.files
        query = Query(follow=True, tail_lines=0)
        async for text in read_log(self._log, run_of(files, query), query, datetime.now(UTC)):
            await streams.write(STDOUT, text)

    async def connect(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a port of its pod, as from inside."""
        port, pid = self._ports.get(port, port), self._inside.pid
        if _is_ours(pid, "net"):
            return await asyncio.open_connection("127.0.0.1", port)
        connected = await asyncio.to_thread(_connect_inside, pid, port)
        return await asyncio.open_connection(sock=connected)


def _enter_network(pid: int) -> None:
    """Move this thread to the pod's network."""
    with open(f"/proc/{pid}/ns/net") as namespace:
        if _libc.setns(namespace.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "cannot enter the pod's network")


def _connect_inside(pid: int, port: int) -> socket.socket:
    """A connection made in the pod's network; the thread that makes it is not used again."""
    found: list[socket.socket | OSError] = []

    def connect() -> None:
        try:
            _enter_network(pid)
            found.append(socket.create_connection(("127.0.0.1", port), CONNECT_TIMEOUT_S))
        except OSError as error:
            found.append(error)

    thread = threading.Thread(target=connect)
    thread.start()
    thread.join()
    [one] = found
    if isinstance(one, OSError):
        raise one
    one.setblocking(False)
    return one


async def _pass_on(reader: asyncio.StreamReader, streams: Streams, channel: int) -> None:
    while data := await reader.read(OUTPUT_MAX_BYTES):
        await streams.write(channel, data)


async def _feed(streams: Streams, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await streams.read():
            writer.write(data)
            await writer.drain()
        writer.close()


async def _read_terminal(terminal: int) -> bytes:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(terminal, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(terminal)
    return os.read(terminal, OUTPUT_MAX_BYTES)


async def _type(streams: Streams, terminal: int) -> None:
    while True:
        data = await streams.read() or b"\x04"  # the end of input is typed
        while data:
            try:
                data = data[os.write(terminal, data) :]
            except BlockingIOError:  # the program does not read
                await asyncio.sleep(_TYPE_PAUSE_S)


async def _resize(streams: Streams, terminal: int) -> None:
    while True:
        columns, rows = await streams.size()
        with contextlib.suppress(OSError):
            termios.tcsetwinsize(terminal, (rows, columns))


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _exit_code(status: int) -> int:
    return status if status >= 0 else 128 - status
