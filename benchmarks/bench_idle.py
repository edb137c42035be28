"""Claim: 1,000 services at zero: all Ready within 20 s, 150 KiB each, 3 % of a core when idle.

The services are created by 50 clients at a time and each is counted as Ready when its Service says
so. Memory is the resident memory of everything but pods, Envoy included, before and after. Idle CPU
is what all of these processes take in a minute in which nobody asks for anything; ``per_process``
says who takes it, in percent of one core. Memory is read 90 s after the last service became Ready,
when the API server has forgotten the history of the burst (``at_once`` is read before).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.platform import (
    AT_ZERO,
    Platform,
    another_client,
    descendants,
    memory_mib,
    platform,
    service,
    title,
    upload,
)
from benchmarks.verdicts import at_most
from hearth.api.errors import ApiError
from hearth.api.kinds import SERVICE
from hearth.api.meta import is_condition_true
from hearth.client import Client

SERVICES = int(os.environ.get("SERVICES", "1000"))
CLIENTS = 50
SETTLE_S = 90.0
IDLE_S = float(os.environ.get("IDLE_S", "60"))


def run() -> Iterator[dict[str, object]]:
    yield asyncio.run(_measure())


async def _measure() -> dict[str, object]:
    async with platform(4) as on:
        code = await upload(on, "hello")
        await asyncio.sleep(5)
        before = _memory(on)
        idle_before = await _cpu_percent(on, IDLE_S / 4)
        ready_s = await _create_all(on, code | AT_ZERO)
        at_once = _memory(on)
        await asyncio.sleep(30)
        idle = await _cpu_percent(on, IDLE_S)
        await asyncio.sleep(max(0.0, SETTLE_S - 30 - IDLE_S))
        after = _memory(on)
    added_kib, added_at_once_kib = (
        (sum(then.values()) - sum(before.values())) * 1024 for then in (after, at_once)
    )
    return {
        "services": SERVICES,
        "all_ready_s": round(ready_s, 1),
        "added_kib_per_service": round(added_kib / SERVICES, 1),
        "added_kib_per_service_at_once": round(added_at_once_kib / SERVICES, 1),
        "mib_before": before,
        "mib_after": after,
        "idle_cpu_percent": round(sum(idle.values()), 2),
        "per_process": idle,
        "idle_cpu_percent_empty": round(sum(idle_before.values()), 2),
        "claims": [
            at_most(f"{SERVICES:,} services at zero: all Ready", 20, ready_s, " s"),
            at_most("memory that each adds, gateway included", 150, added_kib / SERVICES, " KiB"),
            at_most("idle CPU with them, of a core", 3, sum(idle.values()), " %"),
        ],
    }


async def _create_all(on: Platform, annotations: dict[str, str]) -> float:
    """Create all services; the seconds until the last is Ready."""
    started = time.monotonic()
    waiting = {f"idle-{number}" for number in range(SERVICES)}
    names = iter(sorted(waiting))
    listed = await on.client.list(SERVICE, "default")

    async def create(client: Client) -> None:
        for name in names:
            await client.create(SERVICE, service(name, annotations))

    async def watch(version: str) -> None:
        while waiting:
            try:
                async for event in on.client.watch(SERVICE, "default", resource_version=version):
                    version = event.object["metadata"]["resourceVersion"]
                    if is_condition_true(event.object, "Ready"):
                        waiting.discard(event.object["metadata"]["name"])
                    if not waiting:
                        return
            except ApiError:
                version = ""

    # Of its own, so that its connections, for which the server keeps buffers, are closed after.
    async with another_client(on) as client, asyncio.timeout(600), asyncio.TaskGroup() as group:
        group.create_task(watch(listed.resource_version))
        for _ in range(CLIENTS):
            group.create_task(create(client))
    return time.monotonic() - started


def _parts(on: Platform) -> dict[int, str]:
    """What belongs to the platform, by process: not the pods."""
    found = {}
    for pid in descendants(on.process.pid):
        name = title(pid)
        first = name.split(" ")[0]
        if name.startswith("hearth loader") or ("/" in first and first.count("/") == 1):
            continue
        found[pid] = "envoy" if "envoy" in first else " ".join(name.split(" ")[:3])[-40:]
    return found


def _memory(on: Platform) -> dict[str, float]:
    found: dict[str, float] = {}
    for pid, name in _parts(on).items():
        found[name] = round(found.get(name, 0) + memory_mib(pid, "Rss"), 1)
    return found


async def _cpu_percent(on: Platform, seconds: float) -> dict[str, float]:
    """Of one core, by process."""
    parts = _parts(on)
    before, started = {pid: _cpu_s(pid) for pid in parts}, time.monotonic()
    await asyncio.sleep(seconds)
    took_s = time.monotonic() - started
    found: dict[str, float] = {}
    for pid, name in parts.items():
        used = (_cpu_s(pid) - before[pid]) / took_s * 100
        found[name] = round(found.get(name, 0) + used, 2)
    return found


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
