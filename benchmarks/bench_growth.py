"""Claims: what one service costs does not grow with those that are there.

With 0, 1,000 and 3,000 services at zero: the time from apply to Ready of one more. With 0 and
1,000: what deleting one makes the API server and the controllers do. With 1,000 and 3,000: Envoy
is killed, and must answer again. While ``hearth up`` is stopped, so that neither API nor companion
answers, what is warm must be served by what Envoy knows.
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
BACK_S, BACK_AT = 1, (1_000,)  #: seconds from Envoy's death to an answer, with so many services
KEPT = {"autoscaling.knative.dev/initial-scale": "1", "autoscaling.knative.dev/min-scale": "1"}
_RECONCILES = "kn_workqueue_adds"
_WORK = ("apiserver_request", _RECONCILES)


def run() -> Iterator[dict[str, object]]:
    yield from asyncio.run(_measure())


async def _measure() -> list[dict[str, object]]:
    results: list[dict[str, object]] = []
    medians = []
    async with platform(2) as on:
        code = (await upload(on, "hello")) | AT_ZERO
        await deploy(on, service("kept", code | KEPT))
        there = 0
        for step in STEPS:
            await _create(on, code, range(there, step))
            there = step
            await asyncio.sleep(SETTLE_S)
            more = [await deploy(on, service(f"more-{step}-{n}", code)) for n in range(MORE)]
            found = spread_ms(more)
            medians.append(found["p50_ms"])
            results.append({"case": "one more", "services": step, **found})
            if step < STEPS[-1]:
                results.append(await _deletion(on, f"more-{step}-0", step))
            if step:
                results.append(await _restart(on, step))
        times = medians[-1] / medians[0]
        flat = at_most(f"apply → Ready with {STEPS[-1]:,} there, times that with none", 2, times)
        results.append({"case": "one more, grown", "times": round(times, 2), "claims": [flat]})
        results.append(await _without_companion(on))
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


async def _deletion(on: Platform, name: str, services: int) -> dict[str, object]:
    """What is done in the seconds after a service is deleted; some of it is done anyway."""
    before = await _counters(on)
    await on.client.delete(SERVICE, "default", name)
    await asyncio.sleep(SETTLE_S)
    after = await _counters(on)
    left = (await on.client.list(REVISION, "default")).items
    assert not any(one["metadata"]["name"].startswith(f"{name}-0") for one in left), name
    work = {key: after[key] - before[key] for key in _WORK}
    claim = at_most(
        f"reconciles when one of {services + MORE + 1:,} is deleted", 50, work[_RECONCILES]
    )
    return {"case": "delete one", "services": services, **work, "claims": [claim]}


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


async def _restart(on: Platform, services: int) -> dict[str, object]:
    assert (await call(on, "kept"))[0] == 200
    back_s = await _killed(on)
    found: dict[str, object] = {"case": "Envoy killed", "services": services}
    said = f"Envoy killed with {services:,} services → first answer"
    claims = [at_most(said, BACK_S, back_s, " s")] if services in BACK_AT else []
    return {**found, "first_answer_s": round(back_s, 2), "claims": claims}


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


async def _without_companion(on: Platform) -> dict[str, object]:
    """Stop ``hearth up`` for a while, and call what is warm."""
    await asyncio.sleep(SETTLE_S)
    statuses: Counter[int] = Counter()
    os.kill(on.process.pid, signal.SIGSTOP)
    try:
        until = time.monotonic() + AWAY_S
        while time.monotonic() < until:
            try:
                async with asyncio.timeout(5):
                    statuses[(await call(on, "kept"))[0]] += 1
            except (OSError, TimeoutError):
                statuses[0] += 1
    finally:
        os.kill(on.process.pid, signal.SIGCONT)
    failed = statuses.total() - statuses[200]
    claim = exactly("failed without API and companion", "0", str(failed))
    found = {"case": "no API and no companion", "answered": statuses[200], "failed": failed}
    return {**found, "claims": [claim]}
