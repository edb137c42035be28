"""Claim: containerConcurrency 1 is exact, at ≥ 85 % of the rate that ten instances can do."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator

from benchmarks.platform import Platform, call, deploy, platform, require, service, upload_files
from benchmarks.verdicts import at_least, exactly

CONNECTIONS = 64
SECONDS = 8
INSTANCES = 10
WORK_S = 0.02
#: Answers 500 for ever once a request has come while another was at work; one whose client leaves
#: is given up at once.
APP = f"""
import asyncio
busy = broken = 0

async def until_left(receive):
    while (await receive())["type"] != "http.disconnect":
        pass

async def app(scope, receive, send):
    global busy, broken
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({{"type": kind + ".complete"}})
            if kind == "lifespan.shutdown":
                return
    busy += 1
    broken += busy > 1
    work = asyncio.ensure_future(asyncio.sleep({WORK_S}))
    left = asyncio.ensure_future(until_left(receive))
    await asyncio.wait({{work, left}}, return_when=asyncio.FIRST_COMPLETED)
    left.cancel()
    busy -= 1
    await send({{"type": "http.response.start", "status": 500 if broken else 200}})
    await send({{"type": "http.response.body", "body": b"ok"}})
"""


def run() -> Iterator[dict[str, object]]:
    yield asyncio.run(_measure())


async def _measure() -> dict[str, object]:
    wrk = require("wrk")
    async with platform(INSTANCES) as on:
        scale = dict.fromkeys(("min-scale", "max-scale", "initial-scale"), str(INSTANCES))
        annotations = {f"autoscaling.knative.dev/{name}": value for name, value in scale.items()}
        wire = service("one", await upload_files(on, {"app.py": APP}) | annotations)
        wire["spec"]["template"]["spec"]["containerConcurrency"] = 1
        await deploy(on, wire)
        await asyncio.sleep(2)
        rates = [await _rate(wrk, on) for _ in range(3)]
        async with asyncio.timeout(10):
            answers = Counter([(await call(on, "one"))[0] for _ in range(INSTANCES * 4)])
    overlapped = "never" if set(answers) == {200} else str(dict(answers))
    best = INSTANCES / WORK_S
    share = sorted(rates)[1] / best
    return {
        "requests_per_s": [round(rate) for rate in rates],
        "share_of_ideal": round(share, 3),
        "answers_afterwards": dict(answers),
        "claims": [
            exactly("containerConcurrency 1: two at once in an instance", "never", overlapped),
            at_least("the same, of the ideal rate", 85, 100 * share, " %"),
        ],
    }


async def _rate(wrk: str, on: Platform) -> float:
    host = f"one.default.localhost:{on.gateway_port}"
    command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", "-H", f"Host: {host}"]
    process = await asyncio.create_subprocess_exec(
        *command, f"http://127.0.0.1:{on.gateway_port}/", stdout=asyncio.subprocess.PIPE
    )
    printed = (await process.communicate())[0].decode()
    if "Non-2xx" in printed or "Socket errors" in printed:
        raise RuntimeError(f"wrk saw failures, or an app two requests at once:\n{printed}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", printed)[1])
