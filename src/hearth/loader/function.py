"""Serves a function ``handle(request)`` as an ASGI app."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import json
import traceback
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

BODY_MAX_BYTES = 100 * 2**20  #: a function gets its body whole

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Request:
    """What a function gets."""

    method: str
    path: str
    query: Mapping[str, str]  #: a repeated name keeps its last value
    headers: Mapping[str, str]  #: names in lower case
    body: bytes

    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as JSON; raises ``ValueError`` when it is not."""
        return json.loads(self.body)


class FunctionApp:
    """An ASGI app that calls a function for each request.

    It may return a string, bytes, anything that JSON can hold, or a tuple of such a body, a status
    and (optionally) headers. A function that is not a coroutine runs in a thread.
    """

    def __init__(self, function: Callable[[Request], Any], threads_max: int) -> None:
        self._function = function
        self._threads = ThreadPoolExecutor(threads_max, thread_name_prefix="handle")
        self._is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - the method itself is wanted
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if body is None:
            await _send(send, 413, {}, b"the body is too large for a function\n")
            return
        request = Request(
            method=scope["method"],
            path=scope["path"],
            query=dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True)),
            headers={k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]},
            body=body,
        )
        try:
            answer = await self._call(request)
            status, headers, payload = _parts(answer)
        except Exception:  # noqa: BLE001 - the user's function; its log has the traceback
            traceback.print_exc()
            status, headers, payload = 500, {}, b"the function failed; see its log\n"
        await _send(send, status, headers, payload)

    async def _call(self, request: Request) -> Any:
        if self._is_async:
            return await self._function(request)
        run = contextvars.copy_context().run
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, run, self._function, request)


async def _body(receive: Receive) -> bytes | None:
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        size += len(message.get("body", b""))
        if size > BODY_MAX_BYTES:
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


def _parts(answer: Any) -> tuple[int, Mapping[str, str], bytes]:
    status: int = 200
    headers: Mapping[str, str] = {}
    if isinstance(answer, tuple):
        answer, status, *rest = answer
        headers = rest[0] if rest else {}
    if answer is None:
        return (204 if status == 200 else status), headers, b""
    if isinstance(answer, bytes):
        return status, {"content-type": "application/octet-stream", **headers}, answer
    if isinstance(answer, str):
        return status, {"content-type": "text/plain; charset=utf-8", **headers}, answer.encode()
    body = json.dumps(answer).encode()
    return status, {"content-type": "application/json", **headers}, body


async def _send(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    length = {"content-length": str(len(body))}
    encoded = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in {**headers, **length}.items()
    ]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
