"""Claims: a trivial Go server in a container, one instance, 64 connections, through the gateway.

With default settings ≥ 4.5 times what Knative does here (1,900 requests/s) and ≥ 90 % of bare
Envoy → app; with burst capacity 0 ≥ 2.4 times what Knative does then (3,600). All three alternate,
so that what else the machine does touches them alike; medians of the rounds.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Iterator

from benchmarks.goserver import image_service, load_go_server
from benchmarks.platform import call, deploy, platform, require
from benchmarks.verdicts import at_least
from benchmarks.wrk import bare_envoy, load

SECONDS = 3
ROUNDS = 5
KNATIVE, KNATIVE_BURST_0 = 1_900, 3_600  #: requests/s, on this machine
ONE = {"autoscaling.knative.dev/min-scale": "1", "autoscaling.knative.dev/max-scale": "1"}
BURST_0 = {"autoscaling.knative.dev/target-burst-capacity": "0"}


def run() -> Iterator[dict[str, object]]:
    require("wrk")
    yield asyncio.run(_measure())


async def _measure() -> dict[str, object]:
    async with platform(0) as on:
        await load_go_server(on)
        for name, more in (("default", {}), ("burst-0", BURST_0)):
            await deploy(on, image_service(name, ONE | more))
            assert (await call(on, name))[0] == 200
        async with bare_envoy(on, "default") as bare:
            ports = {"default": on.gateway_port, "bare": bare, "burst-0": on.gateway_port}
            found = {name: [] for name in ports}
            for _ in range(ROUNDS):
                for name, port in ports.items():
                    host = f"{name}.default.localhost:{on.gateway_port}"
                    found[name].append(await load(port, host, SECONDS))
    rates = {name: [one.requests_per_s for one in loads] for name, loads in found.items()}
    rps = {name: round(statistics.median(each)) for name, each in rates.items()}
    pairs = [a / b for a, b in zip(rates["default"], rates["bare"], strict=True)]
    share = round(statistics.median(pairs), 3)
    return {
        "requests_per_s": rps,
        "p50_ms": {n: round(statistics.median(x.p50_ms for x in f), 2) for n, f in found.items()},
        "share_of_bare": share,
        "share_min": round(min(pairs), 3),
        "share_max": round(max(pairs), 3),
        "claims": [
            at_least("requests/s, Go server, default settings", 4.5 * KNATIVE, rps["default"]),
            at_least("the same, of bare Envoy → app", 90, 100 * share, " %"),
            at_least("requests/s, burst capacity 0", 2.4 * KNATIVE_BURST_0, rps["burst-0"]),
        ],
    }
