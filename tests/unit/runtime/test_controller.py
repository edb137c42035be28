import asyncio

import pytest

from hearth.api.errors import Conflict
from hearth.api.meta import ObjectKey
from hearth.runtime import Result, TerminalError, WorkQueue, run_controller
from tests.unit.figures import value
from tests.unit.virtual import run_virtual

KEY = ObjectKey("root", "default", "a")


class Scripted:
    """Answers each reconcile with the next outcome; notes when it was called."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.called_at = []

    async def reconcile(self, key):
        self.called_at.append(round(asyncio.get_running_loop().time(), 3))
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.mark.parametrize(
    ("outcomes", "called_at"),
    [
        pytest.param([Result()], [0], id="success-rests"),
        pytest.param([Result(again_after_s=7), Result()], [0, 7], id="waiting-is-not-failing"),
        pytest.param([ValueError("x"), ValueError("x"), Result()], [0, 0.005, 0.015], id="backoff"),
        pytest.param([Conflict("x"), Result()], [0, 0.005], id="conflict-retries"),
        pytest.param([TerminalError("no use")], [0], id="terminal-is-not-retried"),
    ],
)
def test_each_outcome_of_a_reconcile(outcomes, called_at):
    async def story():
        queue, reconciler = WorkQueue(), Scripted(*outcomes)
        queue.add(KEY)
        task = asyncio.create_task(run_controller("test", reconciler, queue, workers=2))
        await asyncio.sleep(100)
        task.cancel()
        await asyncio.wait([task])
        return reconciler.called_at

    assert run_virtual(story())[0] == called_at


def test_what_becomes_of_keys_is_counted():
    async def story():
        outcomes = [Conflict("x"), ValueError("x"), Result(), TerminalError("no use")]
        queue, reconciler = WorkQueue(), Scripted(*outcomes)
        queue.add(KEY)
        task = asyncio.create_task(run_controller("counted", reconciler, queue))
        await asyncio.sleep(10)
        queue.add(KEY)
        depth = value("kn_workqueue_depth", name="counted")
        await asyncio.sleep(10)
        task.cancel()
        await asyncio.wait([task])
        return depth

    assert run_virtual(story())[0] == 1
    assert value("kn_workqueue_depth", name="counted") == 0
    assert value("kn_workqueue_adds_total", name="counted") == 4
    assert value("kn_workqueue_retries_total", name="counted") == 2
    assert value("kn_workqueue_process_duration_seconds_count", name="counted") == 4
    for outcome in ("ok", "conflict", "failed", "gave_up"):
        assert value("hearth_reconciles_total", name="counted", outcome=outcome) == 1
