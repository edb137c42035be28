"""Serves the log of a pod's requests over HTTPS to the API server."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import socket
import ssl
from collections.abc import Callable
from datetime import timedelta

from aiohttp import web

from hearth.api.errors import ApiError
from hearth.api.logs import Query
from hearth.api.meta import ObjectKey, Wire, annotations_of, labels_of, metadata, name_of
from hearth.api.names import (
    CLAIMED_AT_ANNOTATION,
    CONFIGURATION_LABEL,
    REVISION_LABEL,
    SERVICE_LABEL,
)
from hearth.client import Client
from hearth.gateway.core.request_log import whose
from hearth.gateway.core.routing import cluster_name
from hearth.gateway.requestlog import Asked, RequestLog
from hearth.kit.clock import Clock
from hearth.runtime.internal import internal_secret, internal_server_context

log = logging.getLogger(__name__)

_AGAIN_S = 2.0  #: before another look for the secrets

#: A pod that requests may be sent to, and the address that they are sent to.
FindPod = Callable[[ObjectKey], "tuple[Wire, str] | None"]

PATH = "/requestLogs/{tenant}/{namespace}/{pod}"


class LogServer:
    """An HTTPS server."""

    def __init__(self, requests: RequestLog, find: FindPod, clock: Clock, host: str) -> None:
        self._requests = requests
        self._find = find
        self._clock = clock
        self._token = b""
        self._host = host
        self._sock: socket.socket | None = None

    def listen(self) -> str:
        """Take a port; returns the URL."""
        self._sock = socket.create_server((self._host, 0))
        return f"https://{self._host}:{self._sock.getsockname()[1]}"

    async def run(self, client: Client) -> None:
        """Answer where it listens, until cancelled."""
        assert self._sock is not None
        with contextlib.closing(self._sock):
            context = await self._context(client)
            app = web.Application()
            app.router.add_get(PATH, self._answer)
            runner = web.AppRunner(
                app, access_log=None, handler_cancellation=True, shutdown_timeout=0.2
            )
            await runner.setup()
            try:
                await web.SockSite(runner, self._sock, ssl_context=context).start()
                await asyncio.Event().wait()
            finally:
                await runner.cleanup()

    async def _context(self, client: Client) -> ssl.SSLContext:
        """What it serves with, once that can be had: a gateway serves apps without it."""
        while True:
            try:
                self._token = (await internal_secret(client, "internal"))["token"]
                return await internal_server_context(client)
            except (ApiError, ConnectionError) as error:
                log.warning("request log not served", extra={"f": {"because": str(error)}})
                await asyncio.sleep(_AGAIN_S)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._token):
            return web.Response(status=401, text="unauthorized")
        names = request.match_info
        key = ObjectKey(names["tenant"], names["namespace"], names["pod"])
        try:
            query = Query.of(request.query)
        except ValueError as error:
            return web.Response(status=400, text=str(error))
        response = web.StreamResponse(headers={"content-type": "text/plain; charset=utf-8"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionResetError):
            if (found := self._find(key)) is not None:
                async for text in self._requests.read(self._asked(key, *found, query)):
                    await response.write(text)
            await response.write_eof()
        return response

    def _asked(self, key: ObjectKey, pod: Wire, address: str, query: Query) -> Asked:
        own = labels_of(pod)
        revision = key._replace(name=str(own.get(REVISION_LABEL)))
        since = str(annotations_of(pod).get(CLAIMED_AT_ANNOTATION) or "")
        since = (since or str(metadata(pod).get("creationTimestamp") or "")).removesuffix("Z")
        if query.since_s is not None:
            least = self._clock.now() - timedelta(seconds=query.since_s)
            since = max(since, least.strftime("%Y-%m-%dT%H:%M:%S.%f"))
        values = {
            "Revision.Service": own.get(SERVICE_LABEL, ""),
            "Revision.Configuration": own.get(CONFIGURATION_LABEL, ""),
            "Revision.PodName": name_of(pod),
        }
        return Asked(whose(address, cluster_name(revision)), since.encode(), values, query)
