"""Puts a handler behind HTTPS."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import operator
import os
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from hearth.api.errors import ApiError, TooLarge
from hearth.api.http import Handler, Request, Response
from hearth.apiserver.codec import error_response
from hearth.apiserver.images import IMAGES_MAX_BYTES
from hearth.apiserver.packages import PACKAGE_MAX_BYTES

_GOODBYE_S = 0.5  #: for requests under way at the end; watches are cut after it
_BACKLOG = 1024  #: connections that may wait to be taken
_LISTENING = "0A"  #: TCP_LISTEN in /proc/net/tcp
OBJECT_MAX_BYTES = 3 * 2**20  #: Kubernetes' limit on a request


class ListenError(Exception):
    """The address cannot be listened on; the message names it."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 picks a free one.

    Raises:
        ListenError: the port is in use, or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        why = f"cannot listen on {host}:{port}: {error.strerror}"
        raise ListenError(why + _by_whom(port, error)) from error
    return sock


def _by_whom(port: int, error: OSError) -> str:
    holder = port_holder(port) if error.errno == errno.EADDRINUSE else None
    return f" (by process {holder})" if holder else ""


def port_holder(port: int) -> str | None:
    """``PID NAME`` of the process that listens on a TCP port, as far as we may see it."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                local, state, inode = operator.itemgetter(1, 3, 9)(line.split())
                if state == _LISTENING and int(local.rsplit(":", 1)[1], 16) == port:
                    inodes.add(f"socket:[{inode}]")
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(os.readlink(fd) in inodes for fd in (process / "fd").iterdir()):
                return f"{process.name} {(process / 'comm').read_text().strip()}"
    return None


@contextlib.asynccontextmanager
async def serve(
    handler: Handler, sock: socket.socket, context: ssl.SSLContext
) -> AsyncIterator[None]:
    """Answer requests on the socket for the length of the block."""

    async def answer(incoming: web.BaseRequest) -> web.StreamResponse:
        return await _answer(handler, incoming)

    server = web.Server(answer, handler_cancellation=True, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=_GOODBYE_S)
    await runner.setup()
    try:
        await web.SockSite(runner, sock, ssl_context=context).start()
        yield
    finally:
        await runner.cleanup()


async def _answer(handler: Handler, incoming: web.BaseRequest) -> web.StreamResponse:
    passed_on = _passed_on(incoming.method, incoming.path)
    limit = passed_on or OBJECT_MAX_BYTES
    if (incoming.content_length or 0) > limit:
        said = f"the body has {incoming.content_length} bytes, at most {limit} are taken"
        return _whole(error_response(TooLarge(said)))
    body = b"" if passed_on else await _read(incoming, limit)
    if body is None:
        return _whole(error_response(TooLarge(f"the body has more than {limit} bytes")))
    response = await handler(
        Request(
            method=incoming.method,
            path=incoming.path,
            query=dict(incoming.query),
            headers=_headers(incoming),
            body=body,
            stream=incoming.content.iter_any() if passed_on else None,
        )
    )
    if response.take_over is not None:
        return await _taken_over(response, incoming)
    if response.stream is None:
        return _whole(response)
    return await _streamed(response, incoming)


def _headers(incoming: web.BaseRequest) -> dict[str, str]:
    """By name in lower case; what comes several times is joined by commas (RFC 9110, 5.2)."""
    found: dict[str, str] = {}
    for name, value in incoming.headers.items():
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found


async def _taken_over(response: Response, incoming: web.BaseRequest) -> web.StreamResponse:
    assert response.take_over is not None
    try:
        taken: web.StreamResponse = await response.take_over(incoming)
    except ApiError as error:
        return _whole(error_response(error))
    return taken


def _passed_on(method: str, path: str) -> int:
    """How many bytes a body that is handed on as it comes may have; 0 for one that is not."""
    if method == "PUT" and "/packages/" in path:
        return PACKAGE_MAX_BYTES
    return IMAGES_MAX_BYTES if method == "POST" and path.endswith("/proxy/images") else 0


async def _read(incoming: web.BaseRequest, limit: int) -> bytes | None:
    """The body, or None when it is over the limit."""
    if not incoming.can_read_body:
        return b""
    chunks, size = [], 0
    async for chunk in incoming.content.iter_any():
        size += len(chunk)
        if size > limit:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _whole(response: Response) -> web.Response:
    return web.Response(status=response.status, headers=response.headers, body=response.body)


async def _streamed(response: Response, incoming: web.BaseRequest) -> web.StreamResponse:
    assert response.stream is not None
    outgoing = web.StreamResponse(status=response.status, headers=response.headers)
    async with contextlib.aclosing(response.stream) as chunks:  # type: ignore[type-var]
        await outgoing.prepare(incoming)
        with contextlib.suppress(ConnectionResetError, asyncio.IncompleteReadError):
            async for chunk in chunks:
                await outgoing.write(chunk)
            await outgoing.write_eof()
    return outgoing
