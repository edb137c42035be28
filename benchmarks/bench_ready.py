"""Claim: `hearth up` is ready within 3 s; apply → Ready with initial scale 0 within 100 ms."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from benchmarks.platform import AT_ZERO, deploy, platform, service, spread_ms, upload
from benchmarks.verdicts import at_most

STARTS = 5
APPLIES = 50


def run() -> Iterator[dict[str, object]]:
    starts, applies = [], []
    for _ in range(STARTS):
        starts.append(asyncio.run(_start(applies)))
    started, applied = spread_ms(starts), spread_ms(applies)
    ready = at_most("hearth up → ready", 3_000, started["p50_ms"], " ms")
    yield {"what": "hearth up → ready", **started, "claims": [ready]}
    zero = at_most("apply → Ready, initial scale 0", 100, applied["p50_ms"], " ms")
    yield {"what": "apply → Ready, initial scale 0", **applied, "claims": [zero]}


async def _start(applies: list[float]) -> float:
    async with platform(4) as on:
        code = await upload(on, "hello")
        for number in range(APPLIES // STARTS):
            applies.append(await deploy(on, service(f"a-{number}", code | AT_ZERO)))
        return on.ready_after_s
