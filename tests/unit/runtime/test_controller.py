import asyncio

import pytest

from hearth.api.errors import Conflict
from hearth.api.meta import ObjectKey
from hearth.runtime import Result, TerminalError, WorkQueue, run_controller
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
