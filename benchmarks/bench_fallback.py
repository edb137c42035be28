"""Claim: with an empty pool an ordinary pod answers an ASGI hello from zero at p50 ≤ 400 ms."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from benchmarks.platform import AT_ZERO, call, deploy, platform, service, spread_ms, upload
from benchmarks.verdicts import at_most

RUNS = 50


def run() -> Iterator[dict[str, object]]:
    yield asyncio.run(_measure())


async def _measure() -> dict[str, object]:
    async with platform(0) as on:
        code = await upload(on, "hello")
        taken = []
        for number in range(RUNS):
            name = f"fallback-{number}"
            await deploy(on, service(name, code | AT_ZERO))
            await asyncio.sleep(0.2)
            status, took_s, answer = await call(on, name)
            if status != 200:
                raise RuntimeError(f"{name}: answered {status}: {answer!r}")
            taken.append(took_s)
        found = spread_ms(taken)
        return {**found, "claims": [at_most("pool empty, ASGI, p50", 400, found["p50_ms"], " ms")]}
