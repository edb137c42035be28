"""A process's figures for Prometheus, and the endpoint that serves them.

Counters and histograms are ``prometheus_client``'s, each in module ``instruments`` of the package
whose figures they are. A figure that there would be of every revision is none of those: a
:data:`Source` writes it when somebody asks, from what is known anyway, so that a revision at zero
costs nothing.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from aiohttp import web
from prometheus_client import REGISTRY, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

disable_created_metrics()  # type: ignore[no-untyped-call]  # when each was made: as many lines again, of no use here

#: Bounds of durations that Knative has in seconds.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
#: For what takes a few milliseconds when all is well.
FINE_SECONDS = (0.001, 0.0025, *SECONDS, 30, 60, 120)

#: Writes families in Prometheus' text format; see :func:`family`.
Source: TypeAlias = Callable[[], Awaitable[str]]

_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def labels(pairs: Mapping[str, str]) -> str:
    """Labels in Prometheus' text format, braces included."""
    said = (f'{name}="{text.translate(_ESCAPED)}"' for name, text in pairs.items())
    return "{" + ",".join(said) + "}"


def family(name: str, kind: str, said: str, samples: Iterable[tuple[str, float]]) -> str:
    """One metric in Prometheus' text format; nothing when it has no samples.

    Args:
        name: of the metric.
        kind: ``gauge`` or ``counter``.
        said: what it is, one line.
        samples: labels as :func:`labels` writes them, and values.
    """
    lines = [f"{name}{of} {value:.16g}" for of, value in samples]
    if not lines:
        return ""
    return "\n".join([f"# HELP {name} {said}", f"# TYPE {name} {kind}", *lines, ""])


async def serve_metrics(sock: socket.socket, sources: Sequence[Source]) -> None:
    """Answer ``GET /metrics`` on the socket until cancelled, with all instruments and sources."""

    async def answer(request: web.Request) -> web.Response:
        texts = [await source() for source in sources]
        body = generate_latest(REGISTRY) + "".join(texts).encode()
        return web.Response(body=body, headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4})

    app = web.Application()
    app.router.add_get("/metrics", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.SockSite(runner, sock).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
