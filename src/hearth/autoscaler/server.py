"""Serves an autoscaler to gateways in other processes, over HTTPS."""

from __future__ import annotations

import asyncio
import hmac
import socket
import ssl

import msgspec
from aiohttp import web

from hearth.api.activation import ActivateRequest, ActivationError, Autoscaler, StatReport

_BODY_BYTES_MAX = 16 * 2**20  #: figures of some 100,000 revisions


async def serve_autoscaler(
    autoscaler: Autoscaler, sock: socket.socket, context: ssl.SSLContext, token: str
) -> None:
    """Answer ``/v1/activate`` and ``/v1/stats`` until cancelled; see ``hearth.api.activation``."""
    server = _Server(autoscaler, token)
    app = web.Application(client_max_size=_BODY_BYTES_MAX)
    app.router.add_post("/v1/activate", server.activate)
    app.router.add_post("/v1/stats", server.report)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.SockSite(runner, sock, ssl_context=context).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


class _Server:
    def __init__(self, autoscaler: Autoscaler, token: str) -> None:
        self._autoscaler = autoscaler
        self._token = token

    async def activate(self, request: web.Request) -> web.Response:
        """Wait for an instance."""
        self._check(request)
        try:
            asked = msgspec.json.decode(await request.read(), type=ActivateRequest)
            got = await self._autoscaler.activate(asked)
        except msgspec.DecodeError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        except ActivationError as error:
            body = msgspec.json.encode(error.failure)
            return web.Response(status=error.failure.status, body=body)
        return web.Response(body=msgspec.json.encode(got))

    async def report(self, request: web.Request) -> web.Response:
        """Take figures in."""
        self._check(request)
        try:
            report = msgspec.json.decode(await request.read(), type=StatReport)
        except msgspec.DecodeError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        await self._autoscaler.report(report)
        return web.Response(status=204)

    def _check(self, request: web.Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(errors="replace"), self._token.encode()):
            raise web.HTTPUnauthorized(text="unauthorized")
