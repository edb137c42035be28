"""Sends requests to an API server, one connection each, with the standard library alone.

``hearth.client.http`` does the same with a pool of connections, but importing its HTTP library
takes 200 ms, as much as all else that ``hearth list`` does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from hearth.api.http import Request, Response
from hearth.client.kubeconfig import Server

CONNECT_TIMEOUT_S = 10.0
_CHUNK_BYTES = 2**16
_HEAD_MAX_BYTES = 2**16
_LOST = (OSError, EOFError, ValueError, asyncio.LimitOverrunError)


@dataclass(frozen=True, slots=True)
class _Head:
    """The first part of an answer."""

    status: int
    headers: dict[str, str]  #: names in lower case


class HttpsHandler:
    """A :class:`~hearth.api.http.Handler` for a kubeconfig's server."""

    def __init__(self, server: Server) -> None:
        """Prepare to speak to it; nothing is sent yet."""
        self._server = server
        self._headers = {"authorization": f"Bearer {server.token}"} if server.token else {}

    async def __call__(self, request: Request) -> Response:
        """Send the request; watches and logs are handed on as they come.

        Raises:
            ConnectionError: the server could not be reached, or broke off.
        """
        try:
            reader, writer = await self._connect()
        except (*_LOST, TimeoutError) as error:
            raise ConnectionError(f"{self._server.url}: {_said(error)}") from error
        try:
            head = _parse_head(await self._ask(request, reader, writer))
        except _LOST as error:
            writer.transport.abort()
            raise ConnectionError(f"{self._server.url}: broke off: {_said(error)}") from error
        except BaseException:
            writer.transport.abort()
            raise
        body = self._body(request, head, reader, writer)
        if request.query.get("watch") == "true" or request.query.get("follow") == "true":
            return Response(head.status, head.headers, stream=body)
        return Response(head.status, head.headers, b"".join([chunk async for chunk in body]))

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        url = urlsplit(self._server.url)
        port = url.port or (443 if url.scheme == "https" else 80)
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            return await asyncio.open_connection(
                url.hostname, port, ssl=self._server.ssl, limit=_HEAD_MAX_BYTES
            )

    async def _ask(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        """Send the request; the head of the answer, which may come before all is sent.

        It is read meanwhile: a connection that breaks takes with it what was not read yet.
        """
        answer = asyncio.create_task(reader.readuntil(b"\r\n\r\n"), name="head of the answer")
        answer.add_done_callback(lambda task: task.cancelled() or task.exception())  # it is known
        try:
            await self._send(request, writer, answer)
            return await answer
        finally:
            answer.cancel()

    async def _send(
        self, request: Request, writer: asyncio.StreamWriter, answer: asyncio.Task[bytes]
    ) -> None:
        writer.write(self._encode(request))
        await writer.drain()
        if request.stream is None:
            return
        with contextlib.suppress(ConnectionError):  # it may have said why before it had read all
            async for chunk in request.stream:
                if answer.done():
                    return
                writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                await writer.drain()
            writer.write(b"0\r\n\r\n")
            await writer.drain()

    def _encode(self, request: Request) -> bytes:
        path = quote(self._server.prefix + request.path, safe="/:@!$&'()*+,;=~")
        query = f"?{urlencode(request.query)}" if request.query else ""
        headers = {
            "host": urlsplit(self._server.url).netloc,
            "connection": "close",
            **_framing(request),
            **self._headers,
            **request.headers,
        }
        lines = [f"{request.method} {path}{query} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + request.body

    async def _body(
        self,
        request: Request,
        head: _Head,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> AsyncIterator[bytes]:
        try:
            if request.method != "HEAD" and head.status not in (204, 304):
                async for chunk in _chunks(head, reader):
                    yield chunk
        except _LOST as error:
            raise ConnectionError(f"{self._server.url}: broke off: {_said(error)}") from error
        finally:
            writer.transport.abort()  # all is read, or the rest is not wanted


def _framing(request: Request) -> dict[str, str]:
    """How the other side knows where the body ends."""
    if request.stream is not None:
        return {"transfer-encoding": "chunked"}
    return {"content-length": str(len(request.body))}


async def _chunks(head: _Head, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The body, decoded; it ends by chunk, by length or with the connection (RFC 9112, 6.3)."""
    if head.headers.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await reader.readline()).split(b";")[0], 16):
            yield await reader.readexactly(size)
            await reader.readexactly(2)
        return
    left = int(head.headers.get("content-length", -1))
    while left and (
        chunk := await reader.read(min(left, _CHUNK_BYTES) if left > 0 else _CHUNK_BYTES)
    ):
        left = left - len(chunk) if left > 0 else left
        yield chunk
    if left > 0:
        raise EOFError(f"{left} bytes are missing")


def _parse_head(head: bytes) -> _Head:
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status = first.split(" ", 2)[:2]
    if not version.startswith("HTTP/1."):
        raise ValueError(f"answered {first[:80]!r}, expected HTTP/1.1")
    pairs = (line.partition(":") for line in lines if line)
    return _Head(int(status), {name.lower(): value.strip() for name, _, value in pairs})


def _said(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"no connection within {CONNECT_TIMEOUT_S:g} s"
    return (error.strerror if isinstance(error, OSError) else "") or str(error)
