"""Who asks is answered once the API server is back; in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from hearth.client.patience import PATIENCE_S, patiently
from tests.unit.virtual import run_virtual


class Away:
    """Answers from a moment on."""

    def __init__(self, until_s):
        self.until_s = until_s

    async def __call__(self):
        if asyncio.get_running_loop().time() < self.until_s:
            raise ConnectionError("refused")
        return "here"


def test_an_answer_is_waited_for():
    answer, took_s = run_virtual(patiently(Away(until_s=2.0)))
    assert answer == "here"
    assert 2.0 <= took_s < 3.0


def test_patience_ends():
    async def story():
        with pytest.raises(ConnectionError):
            await patiently(Away(until_s=1000.0))

    _, took_s = run_virtual(story())
    assert PATIENCE_S - 1 < took_s <= PATIENCE_S


def test_what_is_no_absence_is_told_at_once():
    async def refuses():
        raise ValueError

    async def story():
        with pytest.raises(ValueError):
            await patiently(refuses)

    assert run_virtual(story())[1] == 0
