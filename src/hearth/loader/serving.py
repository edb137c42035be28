"""Serves an ASGI app with uvicorn on a socket that is bound already."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Callable
from typing import Any

import uvicorn
import uvicorn.lifespan.off
import uvicorn.lifespan.on
import uvicorn.loops.uvloop
import uvicorn.protocols.http.httptools_impl
import uvicorn.protocols.websockets.websockets_sansio_impl
import uvloop

GRACE_S = 25  #: for requests in flight after SIGTERM; the pod's own grace period ends later


class _Server(uvicorn.Server):  # type: ignore[misc]  # mypy does not follow uvicorn
    """Tells once it serves."""

    def __init__(self, config: uvicorn.Config, on_serving: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_serving = on_serving

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so if that went well."""
        await super().startup(sockets)
        if not self.should_exit:
            self._on_serving()


def serve(
    app: Any, sock: socket.socket, on_serving: Callable[[], None], on_failed: Callable[[str], Any]
) -> int:
    """Serve until SIGTERM; returns the exit code.

    Args:
        app: an ASGI app.
        sock: listening.
        on_serving: called once the app's startup is done and requests are answered.
        on_failed: called with a sentence when its startup fails.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        lifespan="auto",
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips="*",  # only the gateway reaches a pod
        timeout_graceful_shutdown=GRACE_S,
        backlog=1024,
    )
    served = False

    def serving() -> None:
        nonlocal served
        served = True
        on_serving()

    server = _Server(config, serving)
    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(server.serve(sockets=[sock]))
    finally:
        loop.close()
    if not served:
        on_failed("the app's startup (its ASGI lifespan) failed; see its log")
        return 3
    return 0


def main() -> int:
    """``python -m hearth.loader.serving MODULE NAMES PORT``: serve from a new interpreter."""
    from hearth.loader.become import listen
    from hearth.loader.entry import Application, load
    from hearth.loader.packages import CodeError

    module, names, port = sys.argv[1:4]
    try:
        app = load(Application(module, tuple(names.split(","))))
    except CodeError as error:
        print(error.message, file=sys.stderr)
        return 1
    sock = listen("0.0.0.0", int(port))
    return serve(app, sock, lambda: None, lambda said: print(said, file=sys.stderr))


if __name__ == "__main__":
    sys.exit(main())
