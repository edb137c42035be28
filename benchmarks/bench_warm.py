"""Claim: warm requests/s of an ASGI app are ≥ 90 % of bare Envoy → app in the same run."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Iterator

from benchmarks.platform import call, deploy, platform, require, service, upload
from benchmarks.verdicts import at_least
from benchmarks.wrk import bare_envoy, load

SECONDS = 4
ROUNDS = 5


def run() -> Iterator[dict[str, object]]:
    require("wrk")
    yield asyncio.run(_measure())


async def _measure() -> dict[str, object]:
    async with platform(2) as on:
        scale = {"autoscaling.knative.dev/min-scale": "1", "autoscaling.knative.dev/max-scale": "1"}
        await deploy(on, service("warm", await upload(on, "hello") | scale))
        assert (await call(on, "warm"))[0] == 200
        host = f"warm.default.localhost:{on.gateway_port}"
        through, direct = [], []
        async with bare_envoy(on, "warm") as bare:
            for _ in range(ROUNDS):
                through.append((await load(on.gateway_port, host, SECONDS)).requests_per_s)
                direct.append((await load(bare, host, SECONDS)).requests_per_s)
    pairs = [a / b for a, b in zip(through, direct, strict=True)]
    share = round(statistics.median(pairs), 3)
    return {
        "gateway_rps": round(statistics.median(through)),
        "bare_rps": round(statistics.median(direct)),
        "share": share,
        "share_min": round(min(pairs), 3),
        "share_max": round(max(pairs), 3),
        "claims": [at_least("warm requests/s, ASGI, of bare Envoy → app", 90, 100 * share, " %")],
    }
