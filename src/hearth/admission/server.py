"""Serves the webhooks to a cluster's API server, over HTTPS."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from hearth.admission.core.review import mutate, validate
from hearth.api.config.serving import ServingConfig
from hearth.api.errors import BadRequest
from hearth.api.meta import Wire
from hearth.api.names import READY_PATH, WEBHOOK_MUTATE_PATH, WEBHOOK_VALIDATE_PATH

log = logging.getLogger(__name__)

_BODY_BYTES_MAX = 8 * 2**20  #: an object, what it was, and who asks


async def serve_webhooks(
    sock: socket.socket, context: ssl.SSLContext, config: Callable[[], ServingConfig]
) -> None:
    """Answer reviews, and whether this process is ready, until cancelled.

    Args:
        sock: bound.
        context: with a certificate that the API server trusts.
        config: what the config maps say now.
    """
    app = web.Application(client_max_size=_BODY_BYTES_MAX)
    app.router.add_post(WEBHOOK_MUTATE_PATH, _answering(mutate, config))
    app.router.add_post(WEBHOOK_VALIDATE_PATH, _answering(validate, config))
    app.router.add_get(READY_PATH, _ready)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        await web.SockSite(runner, sock, ssl_context=context).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def _answering(
    review: Callable[[Wire, ServingConfig], Wire], config: Callable[[], ServingConfig]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        try:
            answered = review(msgspec.json.decode(await request.read()), config())
        except (BadRequest, msgspec.DecodeError) as error:
            return web.Response(status=400, text=f"{error}\n")
        except Exception as error:  # the object is at fault, or we are: the API server says so
            log.exception("review failed")
            return web.Response(status=500, text=f"{type(error).__name__}: {error}\n")
        return web.json_response(answered, dumps=lambda wire: msgspec.json.encode(wire).decode())

    return answer


async def _ready(request: web.Request) -> web.Response:
    return web.Response(text="ok\n")
