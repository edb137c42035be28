"""Virtual time: an hour of sleep is free. Only where no real I/O is in flight."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _VirtualSelector(selectors.SelectSelector):
    """Instead of waiting, moves the clock forward by what it was asked to wait."""

    now_s = 0.0

    def select(self, timeout=None):
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise RuntimeError("every task waits and no timer is set: the story is stuck")
        self.now_s += timeout
        return []


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _VirtualSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now_s


def run_virtual(story: Coroutine[Any, Any, T]) -> tuple[T, float]:
    """Run the coroutine in virtual time; returns its result and the seconds it took."""
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        result = runner.run(story)
        return result, runner.get_loop().time()
