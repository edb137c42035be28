"""Claim: 150 scale flips under load fail no request.

While clients keep calling, the workload is scaled to zero 150 times; the next request scales it up
again from the pool. Every answer must be the app's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from benchmarks.platform import (
    AT_ZERO,
    Platform,
    call,
    deploy,
    platform,
    service,
    spread_ms,
    upload,
)
from benchmarks.verdicts import exactly
from hearth.api.kinds import POOLED_REPLICA_SET

FLIPS = 150
CLIENTS = 8
POOL = 8


def run() -> Iterator[dict[str, object]]:
    yield asyncio.run(_measure())


async def _measure() -> dict[str, object]:
    async with platform(POOL) as on:
        await deploy(on, service("flips", await upload(on, "hello") | AT_ZERO))
        stop, taken, failed = asyncio.Event(), [], []
        clients = [asyncio.create_task(_calls(on, stop, taken, failed)) for _ in range(CLIENTS)]
        started = time.monotonic()
        for _ in range(FLIPS):
            scale = {"spec": {"replicas": 0}}
            await on.client.patch(
                POOLED_REPLICA_SET, "default", "flips-00001", scale, subresource="scale"
            )
            await asyncio.sleep(0.2)
        stop.set()
        await asyncio.gather(*clients)
        return {
            "flips": FLIPS,
            "requests": len(taken),
            "failed": len(failed),
            "first_failures": failed[:3],
            "seconds": round(time.monotonic() - started, 1),
            **spread_ms(taken),
            "claims": [exactly("requests failed by 150 scale flips", "0", str(len(failed)))],
        }


async def _calls(on: Platform, stop: asyncio.Event, taken: list[float], failed: list[str]) -> None:
    while not stop.is_set():
        status, took_s, answer = await call(on, "flips")
        taken.append(took_s)
        if status != 200:
            failed.append(f"{status}: {answer[:200]!r}")
