"""Claim: 50 services at zero hit at the same moment, pool of 60: all answer within 2 s."""

from __future__ import annotations

import asyncio
import time
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

SERVICES = 50
POOL = 60
ROUNDS = 3


def run() -> Iterator[dict[str, object]]:
    yield from asyncio.run(_measure())


async def _measure() -> list[dict[str, object]]:
    results = []
    async with platform(POOL) as on:
        code = await upload(on, "hello")
        for turn in range(ROUNDS):
            names = [f"burst-{turn}-{number}" for number in range(SERVICES)]
            for name in names:
                await deploy(on, service(name, code | AT_ZERO))
            await pool_is_full(on, POOL)
            await asyncio.sleep(1)
            started = time.perf_counter()
            answers = await asyncio.gather(*(call(on, name) for name in names))
            last_s = time.perf_counter() - started
            failed = sum(status != 200 for status, _, _ in answers)
            found = spread_ms(took_s for _, took_s, _ in answers)
            results.append(
                {"round": turn, "failed": failed, "last_ms": round(last_s * 1e3), **found}
            )
        last_s = max(float(str(each["last_ms"])) for each in results) / 1e3
        results[-1]["claims"] = [
            at_most("50 woken at once from a pool of 60, last", 2, last_s, " s")
        ]
    return results
