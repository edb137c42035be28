"""A gateway with many services restarts whole, and its Envoy serves on without it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import aiohttp

from tests.system.edge import backend, kill, open_edge, play

SERVICES = 300


def test_envoy_is_back_with_all_services_and_the_first_of_them_at_once(tmp_path):
    """knative-extensions/net-kourier#1423, #879: a restart with 300 services."""

    async def story():
        async with open_edge(tmp_path) as edge, backend("b1") as b1:
            for number in range(SERVICES):
                name = f"s{number}"
                edge.revision(f"{name}-00001")
                edge.pod(f"{name}-p", f"{name}-00001", b1.port)
            for number in range(SERVICES):
                await edge.route(f"s{number}", {"revisionName": f"s{number}-00001", "percent": 100})
            kill(edge.envoy)
            killed = time.monotonic()
            while not await _answers(edge):
                assert time.monotonic() - killed < 10, "Envoy answers again"
                await asyncio.sleep(0.01)
            answers = await asyncio.gather(*(edge.get(f"s{n}") for n in range(SERVICES)))
            assert Counter(answers) == {(200, "b1"): SERVICES}
            assert time.monotonic() - killed < 5

    play(story)


async def _answers(edge):
    try:
        return await edge.get("s0") == (200, "b1")
    except aiohttp.ClientError:
        return False
