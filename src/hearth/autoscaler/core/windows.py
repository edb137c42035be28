"""Averages over the last seconds, in constant memory.

A window is a ring of one-second buckets; each sample is added to the bucket of its second, and the
average is over the samples of the buckets that are still in the window. Seconds without a sample
do not count: gateways report several times a second while there is anything to report, and say
zero once when there is nothing left; after that the window is told of the silence.

Source: knative/serving pkg/autoscaler/aggregation (TimedFloat64Buckets).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

BUCKET_S = 1.0


@dataclass(slots=True)
class Window:
    """Samples of one figure."""

    length_s: float
    _sums: list[float] = field(default_factory=list)
    _counts: list[int] = field(default_factory=list)
    _last: int = -1  #: number of the newest bucket, in buckets since the epoch of the clock

    def __post_init__(self) -> None:
        """Make the ring."""
        size = max(1, math.ceil(self.length_s / BUCKET_S))
        self._sums, self._counts = [0.0] * size, [0] * size

    def record(self, at_s: float, value: float) -> None:
        """Take in a sample; one that is older than the window is dropped."""
        bucket = int(at_s // BUCKET_S)
        self._advance(bucket)
        if bucket > self._last - len(self._sums):
            self._sums[bucket % len(self._sums)] += value
            self._counts[bucket % len(self._sums)] += 1

    def average(self, at_s: float) -> float:
        """Over the samples of the last ``length_s``; 0 without any."""
        self._advance(int(at_s // BUCKET_S))
        count = sum(self._counts)
        return sum(self._sums) / count if count else 0.0

    def is_empty(self, at_s: float) -> bool:
        """Whether every sample in the window is 0, or there is none."""
        self._advance(int(at_s // BUCKET_S))
        return not any(self._sums)

    def _advance(self, bucket: int) -> None:
        size = len(self._sums)
        if bucket <= self._last:
            return
        for passed in range(max(self._last + 1, bucket - size + 1), bucket + 1):
            self._sums[passed % size], self._counts[passed % size] = 0.0, 0
        self._last = bucket
