"""Asks again while the API server is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from hearth.kit.backoff import backoff_s

T = TypeVar("T")

PATIENCE_S = 60.0  #: an API server that was killed is back after one or two, unless all is slow
_PAUSE_MAX_S = 0.5


async def patiently(ask: Callable[[], Awaitable[T]], patience_s: float = PATIENCE_S) -> T:
    """What ``ask`` gives, asked again while nobody answers: for what a request waits for.

    Raises:
        ConnectionError: nobody has answered for so long.
    """
    deadline = asyncio.get_running_loop().time() + patience_s
    failures = 0
    while True:
        try:
            return await ask()
        except ConnectionError:
            failures += 1
            pause_s = backoff_s(failures, base_s=0.05, max_s=_PAUSE_MAX_S)
            if asyncio.get_running_loop().time() + pause_s > deadline:
                raise
            await asyncio.sleep(pause_s)
