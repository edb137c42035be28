"""Runs a reconciler over a work queue."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Protocol

from hearth.api.errors import Conflict
from hearth.api.meta import ObjectKey
from hearth.kit.logs import bound
from hearth.runtime.instruments import QueueFigures
from hearth.runtime.workqueue import WorkQueue

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one reconcile that did not fail."""

    again_after_s: float | None = None  #: look again after this long; None: when something changes


class TerminalError(Exception):
    """Trying again cannot help until the object changes: logged, not retried."""


class Reconciler(Protocol):
    """Brings the world to what one object says.

    Called with a key that says who, never what happened; must be right when called once, twice,
    late, or after a restart. The object may be gone.
    """

    async def reconcile(self, key: ObjectKey) -> Result:
        """Do what is missing.

        Raises:
            TerminalError: do not try again until something changes.
            Exception: try again after a back-off.
        """
        ...


async def run_controller(
    name: str, reconciler: Reconciler, queue: WorkQueue, *, workers: int = 4
) -> None:
    """Work on keys from ``queue`` with ``workers`` tasks until cancelled."""
    queue.figures = figures = QueueFigures(name, queue.__len__)
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                work = _work(name, reconciler, queue, figures)
                group.create_task(work, name=f"{name} worker {number}")
    finally:
        queue.close()


async def _work(name: str, reconciler: Reconciler, queue: WorkQueue, figures: QueueFigures) -> None:
    while True:
        key = await queue.get()
        try:
            with bound(controller=name, key=str(key)):
                figures.ended(await _reconcile_one(reconciler, queue, key))
        finally:
            queue.done(key)


async def _reconcile_one(reconciler: Reconciler, queue: WorkQueue, key: ObjectKey) -> str:
    """Reconcile once; returns how it ended."""
    try:
        result = await reconciler.reconcile(key)
    except TerminalError as error:
        queue.forget(key)
        log.warning("reconcile gave up", extra={"f": {"because": str(error)}})
        return "gave_up"
    except Conflict as error:  # someone else wrote first: the cache will catch up
        delay = queue.add_failed(key)
        log.debug("reconcile conflicted", extra={"f": {"because": str(error), "again_s": delay}})
        return "conflict"
    except Exception as error:
        delay = queue.add_failed(key)
        expected = isinstance(error, ConnectionError)
        log.warning(
            "reconcile failed",
            exc_info=None if expected else error,
            extra={"f": {"because": str(error), "again_s": delay}},
        )
        return "failed"
    queue.forget(key)
    if result.again_after_s is not None:
        queue.add_after(key, result.again_after_s)
    return "ok"
