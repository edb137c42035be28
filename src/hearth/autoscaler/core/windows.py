"""Averages over the last seconds, in constant memory.

A window is a ring of buckets of one second each, or of a sixtieth of the window when that is more.
A bucket's value is the average of the samples in it, and 0 without any: gateways report several
times a second while there is anything to report, say zero once when there is nothing left, and are
silent after that. The window's value is the average of its buckets, or of those since its first
sample while it is not full yet.

Source: knative/serving pkg/autoscaler/aggregation (TimedFloat64Buckets).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

BUCKET_S = 1.0  #: Knative's; a longer bucket only where there would be more than BUCKETS_MAX
BUCKETS_MAX = 60


@dataclass(slots=True)
class Window:
    """Samples of one figure."""

    length_s: float
    _bucket_s: float = BUCKET_S
    _sums: list[float] = field(default_factory=list)
    _counts: list[int] = field(default_factory=list)
    _first: int | None = None  #: number of the bucket with the first sample of this activity
    _last: int = -1  #: number of the newest bucket, in buckets since the epoch of the clock

    def __post_init__(self) -> None:
        """Make the ring."""
        self._bucket_s = max(BUCKET_S, self.length_s / BUCKETS_MAX)
        size = max(1, math.ceil(self.length_s / self._bucket_s))
        self._sums, self._counts = [0.0] * size, [0] * size

    def record(self, at_s: float, value: float) -> None:
        """Take in a sample; one that is older than the window is dropped."""
        bucket = int(at_s // self._bucket_s)
        self._advance(bucket)
        size = len(self._sums)
        if bucket <= self._last - size:
            return
        if not any(self._counts):
            self._first = bucket
        self._sums[bucket % size] += value
        self._counts[bucket % size] += 1

    def average(self, at_s: float) -> float:
        """Over the last ``length_s``; 0 without any sample in it."""
        self._advance(int(at_s // self._bucket_s))
        if self._first is None or not any(self._counts):
            return 0.0
        total = sum(s / c for s, c in zip(self._sums, self._counts, strict=True) if c)
        return total / min(len(self._sums), self._last - self._first + 1)

    def _advance(self, bucket: int) -> None:
        size = len(self._sums)
        if bucket <= self._last:
            return
        for passed in range(max(self._last + 1, bucket - size + 1), bucket + 1):
            self._sums[passed % size], self._counts[passed % size] = 0.0, 0
        self._last = bucket
