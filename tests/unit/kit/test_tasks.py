import asyncio

import pytest

from hearth.kit.tasks import Part, TaskGroup, run_until
from tests.unit.virtual import run_virtual


def part(name, ended, fail_after=None):
    async def run():
        try:
            await asyncio.sleep(fail_after or 1e6)
            raise ValueError(name)
        finally:
            ended.append(name)

    return Part(name, run)


def test_stop_ends_parts_in_reverse_order():
    async def story():
        ended, stop = [], asyncio.Event()
        asyncio.get_running_loop().call_later(1, stop.set)
        await run_until(stop, part("store", ended), part("server", ended))
        return ended

    assert run_virtual(story())[0] == ["server", "store"]


def test_a_part_that_fails_ends_the_others_and_is_reported():
    async def story():
        ended = []
        with pytest.raises(ExceptionGroup) as failed:
            await run_until(asyncio.Event(), part("a", ended), part("b", ended, fail_after=2))
        return ended, [str(e) for e in failed.value.exceptions]

    assert run_virtual(story())[0] == (["b", "a"], ["b"])


def test_a_part_that_returns_is_a_failure():
    async def story():
        async def nothing():
            return None

        with pytest.raises(ExceptionGroup, match="parts failed"):
            await run_until(asyncio.Event(), Part("quitter", nothing))

    run_virtual(story())


def test_a_failing_task_of_a_group_leaves_the_others_alone(caplog):
    async def story():
        group, done = TaskGroup(), []

        async def fails():
            raise ValueError("mine")

        async def works():
            await asyncio.sleep(1)
            done.append(True)

        group.start(fails(), name="fails")
        group.start(works(), name="works")
        await asyncio.sleep(2)
        await group.close()
        return done

    assert run_virtual(story())[0] == [True]
    assert "task failed" in caplog.text


def test_an_error_that_a_group_expects_is_not_reported(caplog):
    async def story():
        group = TaskGroup(KeyError)

        async def fails():
            raise KeyError("an answer")

        task = group.start(fails(), name="fails")
        await asyncio.wait([task])
        await group.close()

    run_virtual(story())
    assert "task failed" not in caplog.text
