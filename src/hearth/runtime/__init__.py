"""What controller-runtime is to Go: informers, a work queue, reconcilers, events.

A component asks :class:`Informers` for a cache of each kind it reads, feeds keys from their events
into a :class:`WorkQueue`, and runs a :class:`Reconciler` over it with :func:`run_controller`.
Reads come from the caches, writes go to the API.
"""

from hearth.runtime.controller import (
    Reconciler,
    Result,
    TerminalError,
    run_controller,
)
from hearth.runtime.events import EventRecorder
from hearth.runtime.informer import Change, Informer, Informers
from hearth.runtime.workqueue import WorkQueue

__all__ = [
    "Change",
    "EventRecorder",
    "Informer",
    "Informers",
    "Reconciler",
    "Result",
    "TerminalError",
    "WorkQueue",
    "run_controller",
]
