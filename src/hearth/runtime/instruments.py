"""Figures of work queues and reconcilers, under Knative's names.

Source: knative.dev/pkg observability/metrics/k8s/workqueue.go, as its Prometheus exporter names
them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import Counter, Gauge, Histogram

from hearth.api.meta import ObjectKey
from hearth.kit.metrics import SECONDS

_DEPTH = Gauge("kn_workqueue_depth", "Number of current items in the queue.", ["name"])
_ADDS = Counter("kn_workqueue_adds", "Number of items added to the queue.", ["name"])
_WAITED = Histogram(
    "kn_workqueue_queue_duration_seconds",
    "How long an item stays in the queue.",
    ["name"],
    buckets=SECONDS,
)
_WORKED = Histogram(
    "kn_workqueue_process_duration_seconds",
    "How long processing an item from the queue takes.",
    ["name"],
    buckets=SECONDS,
)
_RETRIES = Counter("kn_workqueue_retries", "Number of items added again after a failure.", ["name"])
_RECONCILES = Counter("hearth_reconciles", "Reconciles by how they ended.", ["name", "outcome"])
#: How a reconcile ends: well; someone else wrote first; it will be tried again; it cannot succeed.
OUTCOMES = ("ok", "conflict", "failed", "gave_up")


class QueueFigures:
    """What is measured of one controller and its queue."""

    def __init__(self, name: str, depth: Callable[[], int]) -> None:
        _DEPTH.labels(name).set_function(depth)
        self._adds = _ADDS.labels(name)
        self._adds.inc(depth())  # those that wait already
        self._waited = _WAITED.labels(name)
        self._worked = _WORKED.labels(name)
        self._retries = _RETRIES.labels(name)
        self._outcomes = {outcome: _RECONCILES.labels(name, outcome) for outcome in OUTCOMES}
        self._since: dict[ObjectKey, float] = {}  #: when a waiting key came, or work on it began

    def added(self, key: ObjectKey) -> None:
        """The key waits."""
        self._adds.inc()
        self._since[key] = time.monotonic()

    def taken(self, key: ObjectKey) -> None:
        """Work on the key begins."""
        now = time.monotonic()
        self._waited.observe(now - self._since.pop(key, now))
        self._since[key] = now

    def done(self, key: ObjectKey) -> None:
        """Work on the key has ended."""
        now = time.monotonic()
        self._worked.observe(now - self._since.pop(key, now))

    def retried(self) -> None:
        """The key comes again after a failure."""
        self._retries.inc()

    def ended(self, outcome: str) -> None:
        """A reconcile has ended; see ``OUTCOMES``."""
        self._outcomes[outcome].inc()
