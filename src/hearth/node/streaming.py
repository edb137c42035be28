"""Serves what enters a running container: commands, its output as it comes, and its ports.

WebSocket with ``v5.channel.k8s.io`` (and v4) for ``/exec`` and ``/attach``, as a kubelet speaks it;
one WebSocket of plain bytes for each connection of ``/portForward``, which the API server makes of
what kubectl says. Neutral of the runtime: whoever runs containers is an :class:`Enterable`.

Source: k8s.io/apimachinery pkg/util/remotecommand.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

import msgspec
from aiohttp import WSMsgType, web

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_CHUNK_BYTES = 32 * 2**10
_PING_S = 30.0


class Streams(Protocol):
    """What a command in a container is connected to."""

    async def read(self) -> bytes:
        """More of its input; empty when there is no more."""
        ...

    async def write(self, channel: int, data: bytes) -> None:
        """Take output; ``channel`` is STDOUT or STDERR."""
        ...

    async def size(self) -> tuple[int, int]:
        """The next size of the terminal: columns and rows."""
        ...


class CannotRun(Exception):
    """The command cannot be run; the message says why."""


class Enterable(Protocol):
    """A running container."""

    async def exec(
        self, command: Sequence[str], streams: Streams, *, stdin: bool, tty: bool
    ) -> int:
        """Run a command in it until it ends; returns its exit code.

        Raises:
            CannotRun: there is no such program, or the container has ended.
        """
        ...

    async def attach(self, streams: Streams, *, stdin: bool, tty: bool) -> None:
        """Pass on what the container says from now on, until it ends.

        Raises:
            CannotRun: it takes no input.
        """
        ...

    async def connect(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a port of its pod; raises ``OSError``."""
        ...


#: The container of a namespace, a pod and a container's name (empty: the first); None: not running.
Find = Callable[[str, str, str], Enterable | None]


class StreamServer:
    """Handlers of an aiohttp application; see :meth:`add_to`."""

    def __init__(self, find: Find, token: str) -> None:
        """Let who knows the token enter what ``find`` finds."""
        self._find = find
        self._token = token

    def add_to(self, app: web.Application) -> None:
        """Serve below ``/exec``, ``/attach`` and ``/portForward``."""
        app.router.add_get("/exec/{namespace}/{pod}/{container}", self._exec)
        app.router.add_get("/attach/{namespace}/{pod}/{container}", self._attach)
        app.router.add_get("/portForward/{namespace}/{pod}", self._forward)

    def _found(self, request: web.Request) -> Enterable:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(errors="replace"), self._token.encode()):
            raise web.HTTPUnauthorized(text="unauthorized")
        names = request.match_info
        container = names.get("container", "")
        found = self._find(names["namespace"], names["pod"], container)
        if found is None:
            raise web.HTTPNotFound(text=f'container not found ("{container}")')
        return found

    async def _exec(self, request: web.Request) -> web.WebSocketResponse:
        container, command = self._found(request), request.query.getall("command", [])
        asked = {"stdin": _is_set(request, "stdin"), "tty": _is_set(request, "tty")}

        async def act(streams: _Socket) -> int:
            return await container.exec(command, streams, **asked)

        return await _served(request, act)

    async def _attach(self, request: web.Request) -> web.WebSocketResponse:
        container = self._found(request)
        asked = {"stdin": _is_set(request, "stdin"), "tty": _is_set(request, "tty")}

        async def act(streams: _Socket) -> int:
            await container.attach(streams, **asked)
            return 0

        return await _served(request, act)

    async def _forward(self, request: web.Request) -> web.WebSocketResponse:
        container = self._found(request)
        port = int(request.query.get("port") or 0)
        try:
            reader, writer = await container.connect(port)
        except OSError as error:
            raise web.HTTPBadGateway(text=str(error)) from error
        socket = web.WebSocketResponse(max_msg_size=0, heartbeat=_PING_S)
        await socket.prepare(request)
        with contextlib.closing(writer):
            await _first_of(_to_socket(reader, socket), _to_writer(socket, writer))
        await socket.close()
        return socket


async def _to_socket(reader: asyncio.StreamReader, socket: web.WebSocketResponse) -> None:
    while data := await reader.read(_CHUNK_BYTES):
        await socket.send_bytes(data)


async def _to_writer(socket: web.WebSocketResponse, writer: asyncio.StreamWriter) -> None:
    """Until the other side has gone; an empty message is the end of what it has to say."""
    async for message in socket:
        if message.type is not WSMsgType.BINARY:
            return
        if message.data:
            writer.write(message.data)
            await writer.drain()
        elif writer.can_write_eof():
            writer.write_eof()


async def _first_of(*runs: Coroutine[Any, Any, None]) -> None:
    """Until the first has ended; the others are cancelled."""
    tasks = [asyncio.ensure_future(run) for run in runs]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Socket:
    """The streams of a client."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        self._input: asyncio.Queue[bytes] = asyncio.Queue(64)
        self._sizes: asyncio.Queue[tuple[int, int]] = asyncio.Queue(8)

    async def read(self) -> bytes:
        """More input; empty when there is no more."""
        return await self._input.get()

    async def write(self, channel: int, data: bytes) -> None:
        """Send output."""
        for start in range(0, len(data), _CHUNK_BYTES):
            await self._socket.send_bytes(bytes([channel]) + data[start : start + _CHUNK_BYTES])

    async def size(self) -> tuple[int, int]:
        """The next size of the terminal."""
        return await self._sizes.get()

    async def listen(self) -> None:
        """Sort what comes until the client is gone."""
        async for message in self._socket:
            if message.type is not WSMsgType.BINARY or not message.data:
                continue
            channel, data = message.data[0], message.data[1:]
            if channel == STDIN and data:
                await self._input.put(data)
            elif channel == RESIZE:
                with contextlib.suppress(msgspec.DecodeError, KeyError, asyncio.QueueFull):
                    size = msgspec.json.decode(data, type=dict[str, int])
                    self._sizes.put_nowait((size["Width"], size["Height"]))
            elif channel == CLOSE and data == bytes([STDIN]):
                await self._input.put(b"")

    async def finish(self, status: dict[str, Any]) -> None:
        """Say how it went."""
        await self._socket.send_bytes(bytes([ERROR]) + msgspec.json.encode(status))


async def _served(
    request: web.Request, act: Callable[[_Socket], Coroutine[Any, Any, int]]
) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(protocols=PROTOCOLS, max_msg_size=0, heartbeat=_PING_S)
    await socket.prepare(request)
    streams = _Socket(socket)

    async def run() -> None:
        try:
            status = ended(await act(streams))
        except CannotRun as error:
            status = failed(str(error))
        await streams.finish(status)

    with contextlib.suppress(ConnectionError):
        await _first_of(run(), streams.listen())
    await socket.close()
    return socket


def ended(code: int) -> dict[str, Any]:
    """The Status of a command that has ended."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    cause = {"reason": "ExitCode", "message": str(code)}
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "details": {"causes": [cause]},
    }


def failed(message: str) -> dict[str, Any]:
    """The Status of a command that could not be run."""
    status = {"metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500}
    return {**status, "message": message}


def _is_set(request: web.Request, name: str) -> bool:
    return request.query.get(name) in ("true", "1")
