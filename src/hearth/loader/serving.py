"""Serves an ASGI app with uvicorn on a socket that is bound already."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
import uvicorn.lifespan.off
import uvicorn.lifespan.on
import uvicorn.loops.uvloop
import uvicorn.protocols.http.httptools_impl
import uvloop

try:
    import uvicorn.protocols.websockets.websockets_sansio_impl

    _WEBSOCKETS = "websockets-sansio"
except ImportError:  # an app may bring an older uvicorn
    _WEBSOCKETS = "auto"


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

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End gracefully on a signal; uvicorn's own would then die by it, this is a good end."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield


def serve(
    app: Any, sock: socket.socket, on_serving: Callable[[], None], on_failed: Callable[[str], Any]
) -> int:
    """Serve until SIGTERM, then finish the requests in flight; returns the exit code.

    Args:
        app: an ASGI app.
        sock: listening.
        on_serving: called once the app's startup is done and requests are answered.
        on_failed: called with a sentence when its startup fails.
    """
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws=_WEBSOCKETS,
        lifespan="auto",
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips="*",  # only the gateway reaches a pod
        timeout_graceful_shutdown=None,  # requests in flight have the pod's grace period
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
        with contextlib.suppress(SystemExit):  # uvicorn's way to say that the startup failed
            loop.run_until_complete(server.serve(sockets=[sock]))
    finally:
        loop.close()
    if not served:
        on_failed("the app's startup (its ASGI lifespan) failed; see its log")
        return 3
    return 0
