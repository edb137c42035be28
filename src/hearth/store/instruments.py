"""Figures of the store."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from hearth.kit.metrics import FINE_SECONDS

_COMMITS = Counter("hearth_store_commits", "Commits to disk by outcome.", ["outcome"])
COMMITTED = _COMMITS.labels("ok")
TAKEN_BACK = _COMMITS.labels("failed")
COMMIT_SECONDS = Histogram(
    "hearth_store_commit_seconds", "How long a commit to disk takes.", buckets=FINE_SECONDS
)
WRITES = Counter("hearth_store_writes", "Objects written or deleted, durably.")
