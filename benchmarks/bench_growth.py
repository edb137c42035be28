"""Claims: what one service costs does not grow with those that are there.

With 0, 1,000 and 3,000 services at zero: the time from apply to Ready of one more. With 1,000: what
deleting one makes the API server and the controllers do, beside the same with none. With 3,000:
Envoy is killed under a steady client and must answer again; and while ``hearth up`` is stopped,
so that neither API nor companion answers, what is warm must be served by what Envoy knows.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.platform import (
    AT_ZERO,
    Platform,
    another_client,
    call,
    deploy,
    descendants,
    platform,
    service,
    spread_ms,
    title,
    upload,
)
from benchmarks.verdicts import at_most, exactly
from hearth.api.kinds import REVISION, SERVICE
from hearth.api.meta import is_condition_true

STEPS = (0, 1_000, 3_000)
MORE = 20
CLIENTS = 20
SETTLE_S = 3.0
AWAY_S = 3.0  #: for how long ``hearth up`` is stopped
#: Counters of work: requests to the API server, and reconciles.
_WORK = ("apiserver_request", "kn_workqueue_adds")


def run() -> Iterator[dict[str, object]]:
    yield from asyncio.run(_measure())


async def _measure() -> list[dict[str, object]]:
    results: list[dict[str, object]] = []
    taken: dict[int, dict[str, float]] = {}
    work: dict[int, dict[str, int]] = {}
    async with platform(2) as on:
        code = (await upload(on, "hello")) | AT_ZERO
        there = 0
        for step in STEPS:
            await _create(on, code, range(there, step))
            there = step
            await asyncio.sleep(SETTLE_S)
            more = [await deploy(on, service(f"more-{step}-{n}", code)) for n in range(MORE)]
            taken[step] = spread_ms(more)
            results.append({"case": "one more", "services": step, **taken[step]})
            if step < STEPS[-1]:
                work[step] = await _work_of_deletion(on, f"more-{step}-0")
                results.append({"case": "delete one", "services": step, **work[step]})
        flat = taken[STEPS[-1]]["p50_ms"] / taken[0]["p50_ms"]
        results[-1]["claims"] = [
            at_most(f"apply → Ready with {STEPS[-1]:,} there, times that with none", 2, flat)
        ]
        grown = sum(work[STEPS[1]].values()) / max(1, sum(work[0].values()))
        results.append(
            {
                "case": "work of a deletion, with 1,000 over with none",
                "claims": [at_most("work of deleting one of 1,000, times one alone", 1.5, grown)],
            }
        )
        results += await _restarts(on, code)
    return results


async def _create(on: Platform, annotations: dict[str, str], numbers: range) -> None:
    """Create services and wait until all are Ready."""
    names = iter([f"grown-{number}" for number in numbers])

    async def create() -> None:
        for name in names:
            await client.create(SERVICE, service(name, annotations))

    async with another_client(on) as client, asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(create())
    async with asyncio.timeout(300):
        while True:
            found = (await on.client.list(SERVICE)).items
            if all(is_condition_true(one, "Ready") for one in found):
                return
            await asyncio.sleep(1)


# Deleting


async def _work_of_deletion(on: Platform, name: str) -> dict[str, int]:
    """What happens until the service and all that it owned are gone, less what happens anyway."""
    window_s = 3.0
    start = await _counters(on)
    await asyncio.sleep(window_s)
    before = await _counters(on)
    await on.client.delete(SERVICE, "default", name)
    await asyncio.sleep(window_s)
    after = await _counters(on)
    left = (await on.client.list(REVISION, "default")).items
    assert not any(one["metadata"]["name"].startswith(f"{name}-0") for one in left), name
    return {key: int(after[key] - before[key] - (before[key] - start[key])) for key in _WORK}


async def _counters(on: Platform) -> Counter[str]:
    url = json.loads((on.state / "ready.json").read_text())["metrics"]
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        families = text_string_to_metric_families(await response.text())
    found: Counter[str] = Counter(dict.fromkeys(_WORK, 0))
    for family in families:
        if family.name in found:
            totals = [each.value for each in family.samples if each.name.endswith("_total")]
            found[family.name] = int(sum(totals))
    return found


# Restarting


async def _restarts(on: Platform, code: dict[str, str]) -> list[dict[str, object]]:
    kept = {"autoscaling.knative.dev/initial-scale": "1", "autoscaling.knative.dev/min-scale": "1"}
    await deploy(on, service("kept", code | kept))
    assert (await call(on, "kept"))[0] == 200
    back_s = await _killed(on)
    answers = await _without_companion(on)
    good = answers.pop(200, 0)
    return [
        {
            "case": "Envoy killed",
            "services": STEPS[-1],
            "first_answer_s": round(back_s, 2),
            "claims": [
                at_most(f"Envoy killed with {STEPS[-1]:,} services → first answer", 1, back_s, " s")
            ],
        },
        {
            "case": "no API and no companion",
            "answered": good,
            "failed": sum(answers.values()),
            "claims": [exactly("failed without API and companion", "0", str(answers.total()))],
        },
    ]


async def _killed(on: Platform) -> float:
    """Kill Envoy; seconds until a service that is warm answers."""
    envoy = next(p for p in descendants(on.process.pid) if "envoy" in title(p).split(" ")[0])
    os.kill(envoy, signal.SIGKILL)
    started = time.monotonic()
    async with asyncio.timeout(60):
        while True:
            try:
                async with asyncio.timeout(10):
                    if (await call(on, "kept"))[0] == 200:
                        return time.monotonic() - started
            except OSError:
                pass
            await asyncio.sleep(0.005)


async def _without_companion(on: Platform) -> Counter[int]:
    """Stop ``hearth up`` for a while, and call what is warm; how often each status came."""
    await asyncio.sleep(1)
    found: Counter[int] = Counter()
    os.kill(on.process.pid, signal.SIGSTOP)
    try:
        until = time.monotonic() + AWAY_S
        while time.monotonic() < until:
            try:
                async with asyncio.timeout(5):
                    found[(await call(on, "kept"))[0]] += 1
            except (OSError, TimeoutError):
                found[0] += 1
    finally:
        os.kill(on.process.pid, signal.SIGCONT)
    return found
