"""Serves containers' logs over HTTPS, at the path a kubelet serves them."""

from __future__ import annotations

import contextlib
import hmac

from aiohttp import web

from hearth.api.logs import Query
from hearth.kit.clock import Clock
from hearth.node.logreading import NoLog, read_log, run_of
from hearth.node.logs import FindLog, LogFiles


class LogServer:
    """An aiohttp application; see :meth:`app`."""

    def __init__(self, find: FindLog, token: str, clock: Clock) -> None:
        """Serve what ``find`` finds to who knows the token."""
        self._find = find
        self._token = token
        self._clock = clock

    def app(self) -> web.Application:
        """``GET /containerLogs/{namespace}/{pod}/{container}``."""
        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            return web.Response(status=401, text="unauthorized")
        names = request.match_info
        log = self._find(names["namespace"], names["pod"], names["container"])
        where = f'container "{names["container"]}" in pod "{names["pod"]}"'
        if log is None:
            return web.Response(status=400, text=f"{where} is waiting to start")
        try:
            query = Query.of(request.query)
            run = run_of(log if isinstance(log, LogFiles) else log.files, query)
        except (NoLog, ValueError) as error:
            return web.Response(status=400, text=f"{where}: {error}")
        response = web.StreamResponse(headers={"content-type": "text/plain; charset=utf-8"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionResetError):
            async for text in read_log(log, run, query, self._clock.now()):
                await response.write(text)
            await response.write_eof()
        return response
