import asyncio

from hearth.api.meta import ObjectKey
from hearth.runtime import WorkQueue
from tests.unit.virtual import run_virtual

A, B = ObjectKey("root", "default", "a"), ObjectKey("root", "default", "b")


def test_a_key_added_twice_is_worked_on_once():
    async def story():
        queue = WorkQueue()
        queue.add(A)
        queue.add(A)
        queue.add(B)
        return await queue.get(), await queue.get(), len(queue)

    assert run_virtual(story())[0] == (A, B, 0)


def test_a_key_added_while_worked_on_comes_back_after_and_not_beside():
    async def story():
        queue = WorkQueue()
        queue.add(A)
        key = await queue.get()
        queue.add(A)
        during = len(queue)
        queue.done(key)
        return during, await queue.get()

    assert run_virtual(story())[0] == (0, A)


def test_failures_wait_longer_each_time_until_forgotten():
    async def story():
        queue = WorkQueue()
        delays = []
        for _ in range(3):
            delays.append(queue.add_failed(A))
            queue.done(await queue.get())
        queue.forget(A)
        delays.append(queue.add_failed(A))
        await queue.get()
        return delays

    assert run_virtual(story())[0] == [0.005, 0.01, 0.02, 0.005]


def test_of_two_delays_the_earlier_counts():
    async def story():
        queue = WorkQueue()
        queue.add_after(A, 10)
        queue.add_after(A, 2)
        queue.add_after(A, 30)
        await queue.get()
        return asyncio.get_running_loop().time()

    assert round(run_virtual(story())[0]) == 2
