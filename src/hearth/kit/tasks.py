"""Runs a process's parts and ends them together."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """A coroutine that runs until it is cancelled, and what it is called."""

    name: str
    run: Callable[[], Awaitable[None]]


async def run_until_signal(*parts: Part) -> None:
    """Run every part until SIGTERM/SIGINT, or until one fails: a failure stops the rest.

    Parts are cancelled in reverse order, each awaited before the next, so that a part may rely
    on the ones before it while it cleans up.

    Raises:
        ExceptionGroup: what the failed parts raised.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    await run_until(stop, *parts)


async def run_until(stop: asyncio.Event, *parts: Part) -> None:
    """Run every part until ``stop`` is set or one ends; then end them in reverse order."""
    tasks = [asyncio.create_task(_run(part), name=part.name) for part in parts]
    stopped = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        failures = [error for task in reversed(tasks) if (error := await _end(task)) is not None]
    if failures:
        raise ExceptionGroup("parts failed", failures)


async def _run(part: Part) -> None:
    await part.run()
    raise RuntimeError(f"part {part.name}: returned, expected it to run until cancelled")


async def _end(task: asyncio.Task[None]) -> Exception | None:
    """Cancel the task, wait for it and return what it failed with, if it did."""
    task.cancel()
    await asyncio.wait([task])
    if task.cancelled():
        return None
    error = task.exception()
    if isinstance(error, Exception):
        log.error("part failed", exc_info=error, extra={"f": {"part": task.get_name()}})
        return error
    if error is not None:
        raise error
    return None


class TaskGroup:
    """Owns tasks started along the way: logs those that fail and cancels the rest at the end.

    Unlike ``asyncio.TaskGroup`` one task's failure does not end the others: an effect's failure
    is an event for its owner, and what still escapes is our mistake, to be seen in the log, but
    for ``expected`` errors: those are an answer that somebody may await.
    """

    def __init__(self, *expected: type[Exception]) -> None:
        self._expected = expected
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, coroutine: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Run the coroutine as a task that this group owns."""
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, self._expected):
            log.error("task failed", exc_info=error, extra={"f": {"task": task.get_name()}})

    async def close(self) -> None:
        """Cancel what still runs and wait for it."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
