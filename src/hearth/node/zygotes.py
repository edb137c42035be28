"""Speaks to zygotes: one per set of preloaded modules, started again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hearth.kit.tasks import TaskGroup
from hearth.loader.zygote import command, empty_cgroups

log = logging.getLogger(__name__)

_WARM_TIMEOUT_S = 60.0


class ZygoteDied(Exception):
    """The zygote is gone, and all its pods with it."""


@dataclass(slots=True)
class _Spawning:
    """A pod that was asked for."""

    pid: asyncio.Future[int]
    cgroups: list[str]
    on_exit: Callable[[int], None]


@dataclass(slots=True)
class _Zygote:
    process: subprocess.Popen[bytes]
    sock: socket.socket
    writer: asyncio.StreamWriter  #: keeps the reader's connection open
    spawning: dict[str, _Spawning] = field(default_factory=dict)  #: by name
    pods: dict[int, _Spawning] = field(default_factory=dict)  #: by pid
    alive: bool = True


class Zygotes:
    """Forks pods. Belongs to one event loop."""

    def __init__(self) -> None:
        self._zygotes: dict[tuple[str, ...], asyncio.Task[_Zygote]] = {}
        self._readers: set[asyncio.Task[None]] = set()
        self._of_pid: dict[int, _Zygote] = {}
        self._orders = TaskGroup()
        #: what a zygote does when we are gone: ``commands`` to run, ``directories`` to remove
        self.at_end: dict[str, Any] = {}

    async def warm(self, preload: Sequence[str]) -> None:
        """Start the zygote of a preload set ahead of its first pod."""
        await self._zygote(tuple(preload))

    async def spawn(
        self,
        name: str,
        request: dict[str, Any],
        fds: list[int],
        preload: Sequence[str],
        on_exit: Callable[[int], None],
    ) -> int:
        """Fork a pod; returns its pid. ``on_exit`` gets its status, negative for a signal.

        Raises:
            ZygoteDied: try again.
        """
        zygote = await self._zygote(tuple(preload))
        spawning = _Spawning(
            asyncio.get_running_loop().create_future(), request["cgroups"], on_exit
        )
        zygote.spawning[name] = spawning
        message = json.dumps({"op": "spawn", "id": name, **request}).encode() + b"\n"
        await _send(zygote.sock, message, fds)
        return await spawning.pid

    def kill(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to the pod's process group."""
        self._tell(pid, {"op": "kill", "signal": int(number)})

    def purge(self, pid: int, name: str, cgroups: Sequence[str]) -> None:
        """Leave nothing of the pod: processes, orphans, cgroups."""
        self._tell(pid, {"op": "purge", "name": name, "cgroups": list(cgroups)})

    def forget(self, pid: int) -> None:
        """The pod is gone and purged."""
        self._of_pid.pop(pid, None)

    async def close(self) -> None:
        """End all zygotes and their pods."""
        zygotes = [t.result() for t in self._zygotes.values() if t.done() and not t.cancelled()
                   and t.exception() is None and t.result().alive]  # fmt: skip
        await self._orders.close()
        for zygote in zygotes:
            zygote.alive = False
            zygote.writer.close()
            zygote.sock.shutdown(socket.SHUT_RDWR)
            zygote.sock.close()
        for task in (*self._zygotes.values(), *self._readers):
            task.cancel()
        for zygote in zygotes:
            await asyncio.to_thread(_wait, zygote.process)

    def _tell(self, pid: int, message: dict[str, Any]) -> None:
        zygote = self._of_pid.get(pid)
        if zygote is not None and zygote.alive:
            line = json.dumps({**message, "pid": pid}).encode() + b"\n"
            self._orders.start(_send(zygote.sock, line, []), name=f"order for {pid}")

    async def _zygote(self, preload: tuple[str, ...]) -> _Zygote:
        task = self._zygotes.get(preload)
        if task is not None and task.done() and (task.cancelled() or task.exception()):
            task = None
        if task is None or (task.done() and not task.result().alive):
            task = asyncio.create_task(self._start(preload), name=f"zygote {preload}")
            self._zygotes[preload] = task
        return await asyncio.shield(task)

    async def _start(self, preload: tuple[str, ...]) -> _Zygote:
        ours, theirs = socket.socketpair()
        arguments, environment = command(theirs.fileno(), preload)
        process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
            arguments,
            env=environment,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        ours.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=ours.dup())
        zygote = _Zygote(process, ours, writer)
        async with asyncio.timeout(_WARM_TIMEOUT_S):
            if not await reader.readline():
                raise ZygoteDied(f"zygote {preload}: ended with {process.wait()} while it started")
        at_end = json.dumps({"op": "at_end", **self.at_end}).encode() + b"\n"
        await _send(ours, at_end, [])
        task = asyncio.create_task(self._read(zygote, reader), name="zygote reader")
        self._readers.add(task)
        task.add_done_callback(self._readers.discard)
        return zygote

    async def _read(self, zygote: _Zygote, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):  # reset by its death, like the end
            while line := await reader.readline():
                message = json.loads(line)
                if message["op"] == "spawned":
                    self._spawned(zygote, message["id"], message["pid"])
                    await asyncio.sleep(0)  # let the spawner take its pid before its exit
                elif message["op"] == "exited":
                    self._exited(zygote, message["pid"], message["status"])
        if zygote.alive:  # else we ended it
            zygote.alive = False
            await self._lost(zygote)

    def _spawned(self, zygote: _Zygote, name: str, pid: int) -> None:
        spawning = zygote.spawning.pop(name)
        zygote.pods[pid] = spawning
        self._of_pid[pid] = zygote
        if not spawning.pid.done():  # else nobody waits for it any more
            spawning.pid.set_result(pid)

    def _exited(self, zygote: _Zygote, pid: int, status: int) -> None:
        if (pod := zygote.pods.pop(pid, None)) is not None:
            pod.on_exit(status)

    async def _lost(self, zygote: _Zygote) -> None:
        """Its pods died with it, what they started may not have: end that, then say so."""
        log.error("zygote died", extra={"f": {"pid": zygote.process.pid}})
        zygote.writer.close()
        zygote.sock.close()
        groups = {pid: pod.cgroups for pid, pod in zygote.pods.items()}
        await asyncio.to_thread(_end_orphans, groups)
        for spawning in zygote.spawning.values():
            if not spawning.pid.done():
                spawning.pid.set_exception(ZygoteDied("the zygote died"))
        for pid in list(zygote.pods):
            self._exited(zygote, pid, -signal.SIGKILL)
        await asyncio.to_thread(_wait, zygote.process)


def _end_orphans(groups: dict[int, list[str]]) -> None:
    for pid, cgroups in groups.items():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        empty_cgroups(cgroups, lambda: None)


async def _send(sock: socket.socket, message: bytes, fds: list[int]) -> None:
    """Send a message, shorter than the socket's buffer, whole.

    Raises:
        ZygoteDied: there is nobody to take it.
    """
    while True:
        try:
            socket.send_fds(sock, [message], fds)
        except BlockingIOError:
            await asyncio.sleep(0.001)
        except OSError as error:
            raise ZygoteDied(str(error)) from error
        else:
            return


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
