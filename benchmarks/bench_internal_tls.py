"""Claim: with system-internal-tls a warm request costs one hop more, and a node one Envoy more.

Requests/s through the gateway to one instance, alternating without and with TLS to it on the same
platform; the memory of the terminator with one front, and with ``FRONTS``; and what is there of it
where TLS is disabled, which is nothing.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Iterator

from benchmarks.platform import (
    Platform,
    call,
    deploy,
    descendants,
    memory_mib,
    platform,
    require,
    service,
    upload,
)
from benchmarks.wrk import load
from hearth.api.inside import TLS_CONDITION
from hearth.api.kinds import CONFIG_MAP, POD
from hearth.api.meta import is_condition_true
from hearth.api.names import KNATIVE_NAMESPACE, REVISION_LABEL

SECONDS = 4
ROUNDS = 5
FRONTS = 20
_SETTLE_S = 2.0


def run() -> Iterator[dict[str, object]]:
    require("wrk")
    yield asyncio.run(_measure())


async def _measure() -> dict[str, object]:
    async with platform(2) as on:
        code = await upload(on, "hello")
        await deploy(on, service("warm", code | _scale(1)))
        assert (await call(on, "warm"))[0] == 200
        host = f"warm.default.localhost:{on.gateway_port}"
        assert not _terminators(on)
        plain, secure = [], []
        for _ in range(ROUNDS):
            await _switch(on, "Disabled")
            plain.append((await load(on.gateway_port, host, SECONDS)).requests_per_s)
            await _switch(on, "Enabled")
            secure.append((await load(on.gateway_port, host, SECONDS)).requests_per_s)
        one = _memory(on)
        await deploy(on, service("many", code | _scale(FRONTS)))
        await _until_secured(on, FRONTS + 1)
        many = _memory(on)
    pairs = [a / b for a, b in zip(secure, plain, strict=True)]
    return {
        "plain_rps": round(statistics.median(plain)),
        "tls_rps": round(statistics.median(secure)),
        "share": round(statistics.median(pairs), 3),
        "share_min": round(min(pairs), 3),
        "share_max": round(max(pairs), 3),
        "terminator_mib": one,
        "kib_per_front": round((many - one) * 1024 / FRONTS),
    }


def _scale(count: int) -> dict[str, str]:
    names = ("min-scale", "max-scale")
    return {f"autoscaling.knative.dev/{name}": str(count) for name in names}


async def _switch(on: Platform, to: str) -> None:
    wire = {
        "metadata": {"name": "config-network", "namespace": KNATIVE_NAMESPACE},
        "data": {"system-internal-tls": to},
    }
    await on.client.apply(CONFIG_MAP, wire)
    if to == "Enabled":
        await _until_secured(on, 1)
    await asyncio.sleep(_SETTLE_S)


async def _until_secured(on: Platform, count: int) -> None:
    async with asyncio.timeout(120):
        while True:
            pods = (await on.client.list(POD, "default", label_selector=REVISION_LABEL)).items
            if sum(is_condition_true(pod, TLS_CONDITION) for pod in pods) >= count:
                return
            await asyncio.sleep(0.1)


def _terminators(on: Platform) -> list[int]:
    marked = b"/terminator/envoy.json"
    return [pid for pid in descendants(on.process.pid) if marked in _command(pid)]


def _command(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as found:
            return found.read()
    except OSError:
        return b""


def _memory(on: Platform) -> float:
    [pid] = _terminators(on)
    return memory_mib(pid)
