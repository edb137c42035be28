"""Claim: 0 → first byte, pool hit: ASGI p50 ≤ 30 ms, p99 ≤ 150 ms; Flask, preloaded, p50 ≤ 40 ms.

200 services at zero, each called once, one at a time, the pool full again before each call; the
package is the same, so it is in the node's cache after the first, which is not counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from benchmarks.platform import (
    AT_ZERO,
    call,
    deploy,
    platform,
    pool_is_full,
    service,
    spread_ms,
    upload,
)
from benchmarks.verdicts import at_most

RUNS = 200
LIMITS_MS = {"hello": 30, "flask": 40}  #: of the median
POOL = 6
SLOW_S = 0.15  #: a call that takes longer is shown with its phases


def run() -> Iterator[dict[str, object]]:
    for example in LIMITS_MS:
        taken = asyncio.run(_measure(example))
        limit_ms = LIMITS_MS[example]
        claim = at_most(
            f"cold start from the pool, {example}, p50", limit_ms, taken["p50_ms"], " ms"
        )
        yield {"app": example, **taken, "claims": [claim]}


async def _measure(example: str) -> dict[str, float]:
    async with platform(POOL) as on:
        code = await upload(on, example)
        taken = []
        for number in range(RUNS + 1):
            name = f"{example}-{number}"
            await deploy(on, service(name, code | AT_ZERO))
            await pool_is_full(on, POOL)
            await asyncio.sleep(0.05)
            status, took_s, answer = await call(on, name, "Hearth-Timing: 1\r\n")
            if status != 200:
                raise RuntimeError(f"{name}: answered {status}: {answer!r}")
            taken.append(took_s)
            if took_s > SLOW_S:
                print(f"# slow: {name} {took_s * 1e3:.0f} ms {_timing(answer)}", flush=True)
        return spread_ms(taken[1:])


def _timing(answer: bytes) -> str:
    for line in answer.decode("latin-1").split("\r\n"):
        if line.lower().startswith("server-timing:"):
            return line
    return ""
