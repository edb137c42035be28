"""Serves containers' logs over HTTPS, at the path a kubelet serves them."""

from __future__ import annotations

import contextlib
import hmac
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta

from aiohttp import web

from hearth.node.logs import ContainerLog, parse_line, read_lines

#: Finds the log of a container by namespace, pod and container name; None when there is none.
FindLog = Callable[[str, str, str], ContainerLog | None]


class LogServer:
    """An aiohttp application; see :meth:`app`."""

    def __init__(self, find: FindLog, token: str) -> None:
        self._find = find
        self._token = token

    def app(self) -> web.Application:
        """``GET /containerLogs/{namespace}/{pod}/{container}``."""
        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given, self._token):
            return web.Response(status=401, text="unauthorized")
        names = request.match_info
        log = self._find(names["namespace"], names["pod"], names["container"])
        if log is None:
            said = f'container "{names["container"]}" in pod "{names["pod"]}" is waiting to start'
            return web.Response(status=400, text=said)
        response = web.StreamResponse(headers={"content-type": "text/plain; charset=utf-8"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionResetError):
            async for line in select_lines(log, request.query):
                await response.write(line)
            await response.write_eof()
        return response


async def select_lines(log: ContainerLog, asked: Mapping[str, str]) -> AsyncIterator[bytes]:
    """The lines that the query asks for, in the words of the kubelet's API."""
    stamped = asked.get("timestamps") == "true"
    left = int(asked.get("limitBytes") or 2**62)
    lines = _since(read_lines(log.files()), int(asked.get("sinceSeconds") or 0))
    if asked.get("tailLines"):
        lines = iter(deque(lines, maxlen=int(asked["tailLines"])))
    last = b""
    for raw in lines:
        last = raw
        text = _shown(raw, stamped=stamped)[:left]
        left -= len(text)
        if text:
            yield text
    if asked.get("follow") != "true":
        return
    while left > 0:
        await log.grown.wait()
        for raw in _after(log, last):
            last = raw
            text = _shown(raw, stamped=stamped)[:left]
            left -= len(text)
            yield text


def _after(log: ContainerLog, last: bytes) -> list[bytes]:
    """The lines that came after ``last``, which is unique by its time."""
    newest = deque(read_lines(log.files()[-2:]), maxlen=50_000)
    found: list[bytes] = []
    for line in reversed(newest):
        if line == last or line[:30] < last[:30]:
            break
        found.append(line)
    return found[::-1]


def _since(lines: Iterable[bytes], seconds: int) -> Iterable[bytes]:
    if not seconds:
        return lines
    oldest = (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return (line for line in lines if line[:19] >= oldest.encode())


def _shown(raw: bytes, *, stamped: bool) -> bytes:
    at, text, goes_on = parse_line(raw)
    end = b"" if goes_on else b"\n"
    return (at + b" " + text if stamped else text) + end
