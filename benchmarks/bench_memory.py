"""Claim: everything but pods holds ≤ 200 MiB when it is idle, ≤ 250 MiB with 50 services at zero.

Resident memory, Envoy included; with containerd too once an image has been used (``images``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from benchmarks.goserver import image_service, load_go_server
from benchmarks.platform import (
    AT_ZERO,
    Platform,
    deploy,
    descendants,
    memory_mib,
    platform,
    service,
    title,
    upload,
)
from benchmarks.verdicts import at_most
from hearth.node.cri.containerd import missing

SERVICES = 50


def run() -> Iterator[dict[str, object]]:
    yield asyncio.run(_measure())


async def _measure() -> dict[str, object]:
    async with platform(4) as on:
        idle = await _settled(on)
        code = await upload(on, "hello")
        for number in range(SERVICES):
            await deploy(on, service(f"memory-{number}", code | AT_ZERO))
        fifty = await _settled(on)
        images = await _with_images(on) if not missing() else None
    total = "total_rss_mib"
    return {
        "idle": idle,
        "at_zero": fifty,
        "images": images,
        "claims": [
            at_most("memory of everything but pods, idle", 200, idle[total], " MiB"),
            at_most(f"the same with {SERVICES} services at zero", 250, fifty[total], " MiB"),
        ],
    }


async def _with_images(on: Platform) -> dict[str, float]:
    """The same once containerd has been started, by 50 more services, of an image."""
    await load_go_server(on)
    for number in range(SERVICES):
        await deploy(on, image_service(f"image-{number}", AT_ZERO))
    return await _settled(on)


async def _settled(on: Platform) -> dict[str, float]:
    await asyncio.sleep(3)
    found: dict[str, float] = {}
    for pid in descendants(on.process.pid):
        name = title(pid)
        if _is_pod(name):
            continue
        short = "envoy" if "envoy" in name.split(" ")[0] else " ".join(name.split(" ")[:3])
        short = "containerd" if name.startswith("containerd ") else short
        found[f"{short} rss_mib"] = round(
            found.get(f"{short} rss_mib", 0) + memory_mib(pid, "Rss"), 1
        )
    found["total_rss_mib"] = round(sum(found.values()), 1)
    return found


def _is_pod(name: str) -> bool:
    return name.startswith("hearth loader") or ("/" in name.split(" ")[0] and name.count("/") == 1)
