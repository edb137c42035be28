"""Claim: everything but pods, idle, Envoy included, holds ≤ 200 MiB."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from benchmarks.platform import (
    AT_ZERO,
    Platform,
    call,
    deploy,
    descendants,
    memory_mib,
    platform,
    service,
    title,
    upload,
)


def run() -> Iterator[dict[str, object]]:
    yield asyncio.run(_measure())


async def _measure() -> dict[str, object]:
    async with platform(4) as on:
        idle = await _settled(on)
        await deploy(on, service("memory", await upload(on, "hello") | AT_ZERO))
        await call(on, "memory")
        used = await _settled(on)
    return {"idle": idle, "after_first_service": used}


async def _settled(on: Platform) -> dict[str, float]:
    await asyncio.sleep(3)
    found: dict[str, float] = {}
    for pid in descendants(on.process.pid):
        name = title(pid)
        if _is_pod(name):
            continue
        short = "envoy" if "envoy" in name.split(" ")[0] else " ".join(name.split(" ")[:3])
        found[f"{short} rss_mib"] = round(
            found.get(f"{short} rss_mib", 0) + memory_mib(pid, "Rss"), 1
        )
    found["total_rss_mib"] = round(sum(found.values()), 1)
    return found


def _is_pod(name: str) -> bool:
    return name.startswith("hearth loader") or ("/" in name.split(" ")[0] and name.count("/") == 1)
