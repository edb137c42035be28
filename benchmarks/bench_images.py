"""Claims: a trivial Go server in a container image, which is present; no pool.

0 → first answer ≤ 700 ms, the first time a service is called and any other; 50 services woken at
once: median ≤ 12.3 s, last ≤ 16.2 s (a third of Knative's here); apply → Ready, initial scale 1,
≤ 1.2 s. Needs root, containerd, runc and Go.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Iterator

from benchmarks.goserver import image_service, load_go_server
from benchmarks.platform import AT_ZERO, Platform, call, deploy, platform, spread_ms
from benchmarks.verdicts import at_most
from hearth.api.kinds import POD

RUNS = 20
AT_ONCE = 50
_KNATIVE_MEDIAN_S, _KNATIVE_LAST_S = 36.9, 48.7  #: 50 at once, on this machine
_EMPTY_S = 90.0


def run() -> Iterator[dict[str, object]]:
    yield from asyncio.run(_measure())


async def _measure() -> list[dict[str, object]]:
    async with platform(0) as on:
        await load_go_server(on)
        await deploy(on, image_service("warm-up", {}))
        applied = spread_ms([await deploy(on, image_service(f"a-{n}", {})) for n in range(RUNS)])
        names = [f"cold-{number}" for number in range(RUNS)]
        for name in names:
            await deploy(on, image_service(name, AT_ZERO))
        first = spread_ms([await _called(on, name) for name in names])
        await _at_zero(on, names)
        again = spread_ms([await _called(on, name) for name in names])
        for number in range(AT_ONCE):
            await deploy(on, image_service(f"burst-{number}", AT_ZERO))
        burst = await asyncio.gather(*(_called(on, f"burst-{n}") for n in range(AT_ONCE)))
    median_s, last_s = statistics.median(burst), max(burst)
    return [
        _told("apply to Ready", applied, "apply → Ready, initial scale 1, image present", 1_200),
        _told("never called before", first, "first call of a service that never ran", 700),
        _told("called before", again, "0 → first answer, container image", 700),
        {
            "case": f"{AT_ONCE} at once",
            "median_s": round(median_s, 2),
            "last_s": round(last_s, 2),
            "claims": [
                at_most("50 images woken at once, median", _KNATIVE_MEDIAN_S / 3, median_s, " s"),
                at_most("50 images woken at once, last", _KNATIVE_LAST_S / 3, last_s, " s"),
            ],
        },
    ]


def _told(case: str, taken: dict[str, float], claim: str, limit_ms: float) -> dict[str, object]:
    return {"case": case, **taken, "claims": [at_most(claim, limit_ms, taken["p50_ms"], " ms")]}


async def _called(on: Platform, name: str) -> float:
    status, took_s, answer = await call(on, name)
    if status != 200:
        raise RuntimeError(f"{name}: answered {status}: {answer!r}")
    return took_s


async def _at_zero(on: Platform, names: list[str]) -> None:
    """Wait until none of the services has a pod."""
    async with asyncio.timeout(_EMPTY_S):
        while True:
            pods = (await on.client.list(POD, "default")).items
            left = {pod["metadata"]["labels"].get("serving.knative.dev/service") for pod in pods}
            if not left & set(names):
                return
            await asyncio.sleep(0.5)
