"""What a companion knows of streams that one before it let go: in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from hearth.api.meta import ObjectKey
from hearth.gateway.limits import Limits
from tests.unit.virtual import run_virtual

KEY = ObjectKey("root", "default", "a-00001")
HERE, THERE = "10.0.0.1:8080", "10.0.0.2:8080"


class Envoy:
    """Counts streams by address."""

    def __init__(self, **active):
        self.active = active

    async def let_go(self):
        if self.active is None:
            raise ConnectionRefusedError
        return dict(self.active)


def play(story):
    async def run():
        envoy = Envoy()
        envoy.active = {HERE: 1}
        limits = Limits(lambda key: [HERE, THERE])
        room = []
        limits.on_room = room.append
        await limits.inherit(envoy.let_go)
        found = await story(limits, envoy, room)
        await limits.close()
        return found

    return run_virtual(run())[0]


def test_an_inherited_stream_has_its_slot_until_envoy_counts_it_no_more():
    async def story(limits, envoy, room):
        taken = [limits.take(KEY, 1, name) for name in ("a", "b")]
        assert taken == [THERE, None]
        envoy.active = {HERE: 1, THERE: 1}
        await asyncio.sleep(10)
        assert limits.take(KEY, 1, "b") is None
        room.clear()
        envoy.active = {THERE: 1}
        await asyncio.sleep(1)
        assert room[0] == KEY
        return limits.take(KEY, 1, "b")

    assert play(story) == HERE


def test_an_own_stream_that_envoy_does_not_count_yet_frees_no_inherited_slot():
    async def story(limits, envoy, room):
        assert [limits.take(KEY, 2, name) for name in ("a", "b", "c", "d")].count(HERE) == 1
        await asyncio.sleep(0.2)  # a look at one stream, while one of ours is on its way
        envoy.active = {HERE: 2, THERE: 2}
        await asyncio.sleep(1)
        return limits.take(KEY, 2, "e")

    assert play(story) is None


@pytest.mark.parametrize("ends", [{}, None], ids=["ended", "envoy-died"])
def test_nothing_is_looked_at_once_all_have_ended(ends):
    async def story(limits, envoy, room):
        envoy.active = ends
        await asyncio.sleep(1)
        assert limits.take(KEY, 1, "a")
        assert limits.take(KEY, 1, "b")
        return len(asyncio.all_tasks())

    assert play(story) == 1
