"""Any part killed under load costs no request but those that the part was answering.

Four processes that are started again when they die, and the load of ``benchmarks.bench_faults``.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from benchmarks.bench_faults import PARTS, converges, kill, world
from benchmarks.processes import processes

WATCHED_S = 5.0


async def _kill_all() -> dict[str, Any]:
    async with processes(pool=6) as on, world(on) as load:
        found = {part: await kill(on, load, part, WATCHED_S) for part in PARTS}
        return {**found, "pods": await converges(on)}


@pytest.fixture(scope="module")
def found():
    """What became of the requests around each kill, and of the scale."""
    return asyncio.run(_kill_all())


@pytest.mark.parametrize("part", PARTS)
def test_a_part_killed_under_load_costs_only_what_it_was_answering(found, part):
    seen = found[part]
    assert (seen["lost"], seen["wrong"], seen["cold_start"]) == ({}, 0, "answered"), seen


@pytest.mark.parametrize("part", ["gateway", "controller", "apiserver"])
def test_a_part_that_carries_no_request_costs_none(found, part):
    assert found[part]["in_its_hands"] == {}, found[part]
    assert 0 < found[part]["median_warm_s"] < 0.2, found[part]


def test_envoy_is_back_within_a_second(found):
    assert 0 <= found["envoy"]["first_warm_answer_s"] < 1, found["envoy"]


def test_afterwards_the_scale_is_what_the_load_needs(found):
    assert found["pods"]
