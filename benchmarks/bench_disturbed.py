"""Claim: 100 writes a second to the API server leave a cold start's p99 under 150 ms.

``hearth up`` runs the API server in the same process as the fast path. Runs without and with the
load alternate in blocks; the load is config maps, created and deleted, over HTTPS.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from benchmarks.platform import (
    AT_ZERO,
    Platform,
    call,
    deploy,
    platform,
    pool_is_full,
    service,
    spread_ms,
    upload,
)
from hearth.api.kinds import CONFIG_MAP

BLOCKS = 4
RUNS = 25  #: per block
POOL = 6
WRITES_PER_S = 100


def run() -> Iterator[dict[str, object]]:
    yield from asyncio.run(_measure())


async def _measure() -> list[dict[str, object]]:
    taken: dict[str, list[float]] = {"quiet": [], "loaded": []}
    async with platform(POOL) as on:
        code = await upload(on, "hello")
        for block in range(BLOCKS * 2):
            kind = "loaded" if block % 2 else "quiet"
            loading = asyncio.create_task(_load(on)) if kind == "loaded" else None
            for number in range(RUNS):
                name = f"d-{block}-{number}"
                await deploy(on, service(name, code | AT_ZERO))
                await pool_is_full(on, POOL)
                status, took_s, answer = await call(on, name)
                if status != 200:
                    raise RuntimeError(f"{name}: answered {status}: {answer!r}")
                taken[kind].append(took_s)
            if loading is not None:
                loading.cancel()
                await asyncio.wait([loading])
    return [{"api": kind, **spread_ms(values)} for kind, values in taken.items()]


async def _load(on: Platform) -> None:
    number = 0
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            number += 1
            meta = {"name": f"load-{number}", "namespace": "default"}
            await on.client.create(CONFIG_MAP, {"metadata": meta, "data": {"k": "v" * 500}})
            await on.client.delete(CONFIG_MAP, "default", meta["name"])
            await asyncio.sleep(2 / WRITES_PER_S)
