"""A steady load of many kinds, and what became of each request."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

APP = """
import asyncio
NAME, LIMIT, ACTIVE = "{name}", {limit}, set()

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({{"type": kind + ".complete"}})
            if kind == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({{"type": "websocket.accept"}})
        while (message := await receive())["type"] == "websocket.receive":
            await send({{"type": "websocket.send", "text": message["text"]}})
        return
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    me = object()
    ACTIVE.add(me)
    crowd = f" among {{len(ACTIVE)}}" if LIMIT and len(ACTIVE) > LIMIT else ""
    left = asyncio.create_task(receive())  # whose client is gone is not counted, as in Knative
    await asyncio.wait([left], timeout={work_s})
    ACTIVE.remove(me)
    if left.done():
        return
    left.cancel()
    said = f"{{NAME}} {{scope['query_string'].decode()}} {{size}}{{crowd}}"
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": said.encode()}})
"""
_TIMEOUT_S = 60.0
#: Sends one request; returns what is wrong with the answer, or nothing.
Send = Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request."""

    kind: str
    begun_s: float
    took_s: float
    said: str  #: empty when it was answered as it should be


@dataclass(slots=True)
class Load:
    """Sends requests to services at a gateway until cancelled."""

    port: int
    outcomes: list[Outcome] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def steady(self, kind: str, rate_per_s: float, send: Send) -> None:
        """Begin so many a second, whatever becomes of them."""
        begin = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in itertools.count():
                await asyncio.sleep(max(0.0, begin + number / rate_per_s - time.monotonic()))
                group.create_task(self.one(kind, send))

    async def one(self, kind: str, send: Send) -> Outcome:
        """Send one request and note what became of it."""
        begun_s = time.monotonic()
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                said = await send()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
            said = type(error).__name__
        outcome = Outcome(kind, begun_s, time.monotonic() - begun_s, said)
        self.outcomes.append(outcome)
        return outcome

    async def request(
        self, name: str, body_bytes: int = 0, connection: Kept | None = None, wanted: str = ""
    ) -> str:
        """GET, or POST with a body; returns what is wrong with the answer, or nothing."""
        number = next(self._numbers)
        head = (
            f"{'POST' if body_bytes else 'GET'} /?{number} HTTP/1.1\r\n"
            f"Host: {name}.default.localhost:{self.port}\r\n"
            f"Content-Length: {body_bytes}\r\n\r\n"
        )
        with contextlib.ExitStack() as stack:
            if connection is None:
                connection = stack.enter_context(contextlib.closing(Kept(self.port)))
            status, answer = await connection.send(head.encode() + b"x" * body_bytes)
        if status != 200:
            return f"{status} {answer.decode(errors='replace')[:80].strip()}"
        wanted = wanted or f"{name} {number} {body_bytes}"
        return "" if answer.decode() == wanted else f"wrong answer: {answer[:60]!r}"

    async def socket(self, name: str, pause_s: float) -> None:
        """A WebSocket that is opened again when it ends; each message is a request.

        When it ends, that is noted as a failure of a request begun when it was opened.
        """
        import websockets

        url = f"ws://{name}.default.localhost:{self.port}/"
        while True:
            opened_s = time.monotonic()
            try:
                async with websockets.connect(
                    url, host="127.0.0.1", port=self.port, open_timeout=_TIMEOUT_S
                ) as socket:
                    while True:
                        begun_s, text = time.monotonic(), str(next(self._numbers))
                        await socket.send(text)
                        answer = await asyncio.wait_for(socket.recv(), _TIMEOUT_S)
                        wrong = "" if answer == text else f"wrong answer: {answer!r}"
                        took_s = time.monotonic() - begun_s
                        self.outcomes.append(Outcome("socket", begun_s, took_s, wrong))
                        await asyncio.sleep(pause_s)
            except (OSError, TimeoutError, websockets.WebSocketException) as error:
                self.outcomes.append(Outcome("socket", opened_s, 0.0, type(error).__name__))
            await asyncio.sleep(0.1)


class Kept:
    """A connection that is used again, as long as the other side keeps it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Send it and read the whole answer: status and body."""
        if self._streams is not None and self._streams[0].at_eof():
            self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        try:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            if "transfer-encoding: chunked" in head:
                body = await _chunks(reader)
            else:
                length = head.partition("content-length: ")[2].partition("\r\n")[0]
                body = await reader.readexactly(int(length or 0))
        except BaseException:
            self.close()
            raise
        return int(head.split(" ", 2)[1]), body

    def close(self) -> None:
        """End it."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body
