"""Averages over the last seconds, in constant memory.

A sample says what a figure was during the interval before it. A window is a ring of buckets of one
second each, or of a sixtieth of the window when that is more; a bucket holds the sum of its
samples, each times its interval, and how much time they cover. Time that no sample covers counts as
zero: gateways report several times a second while there is anything to report, say zero once when
there is nothing left, and are silent after that. The window's value is the average over its length,
or over the time since its first sample while it is not full yet. (Samples may cover a little more
than the time that passed; then it is their mean, so that a steady load is seen as what it is.)

With ``weighted`` newer buckets count more, exponentially.

Source: knative/serving pkg/autoscaler/aggregation (TimedFloat64Buckets, WeightedFloat64Buckets).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

BUCKET_S = 1.0  #: Knative's; a longer bucket only where there would be more than BUCKETS_MAX
BUCKETS_MAX = 60
_DIGITS = 6  #: Knative's: what is left of rounding errors must not make one pod more
_WEIGHT_SUM = 0.9999  #: Knative's: what the weights of all buckets add up to, at least
_WEIGHT_MIN = 0.2  #: Knative's: of the newest bucket
_NEVER = -(2**62)


@dataclass(slots=True)
class Window:
    """Samples of one figure."""

    length_s: float
    weighted: bool = False
    _bucket_s: float = BUCKET_S
    _size: int = 1
    _sums: list[float] = field(default_factory=list)  #: figure times seconds; empty at first
    _covered: list[float] = field(default_factory=list)  #: seconds
    _first_s: float = 0.0  #: when the first sample of this activity began
    _newest: int = -1  #: number of the newest bucket, in buckets since the epoch of the clock
    _sampled: int = _NEVER  #: number of the newest bucket with a sample

    def __post_init__(self) -> None:
        """Choose the buckets; weights vanish after 60 of them, so those stay short.

        The ring is made with the first sample: most windows are of revisions at zero.
        """
        self._bucket_s = BUCKET_S if self.weighted else max(BUCKET_S, self.length_s / BUCKETS_MAX)
        self._size = min(BUCKETS_MAX, max(1, math.ceil(self.length_s / self._bucket_s)))

    def record(self, at_s: float, value: float, over_s: float) -> None:
        """Take in a sample; one that is older than the window is dropped.

        Args:
            at_s: when it was taken.
            value: the figure.
            over_s: for how long before ``at_s`` it holds, > 0.
        """
        bucket, size = int(at_s // self._bucket_s), self._size
        if not self._sums:
            self._sums, self._covered = [0.0] * size, [0.0] * size
        self._advance(bucket)
        if bucket <= self._newest - size:
            return
        if self._is_empty():
            self._first_s = at_s - over_s
        self._sampled = max(self._sampled, bucket)
        self._sums[bucket % size] += value * over_s
        self._covered[bucket % size] += over_s

    def average(self, at_s: float) -> float:
        """Over the last ``length_s``; 0 without any sample in it."""
        self._advance(int(at_s // self._bucket_s))
        if self._is_empty():
            return 0.0
        if self.weighted:
            return round(self._weighted_average(at_s), _DIGITS)
        begin_s = max(self._first_s, self._begin_of(self._newest - self._size + 1))
        return round(sum(self._sums) / max(sum(self._covered), at_s - begin_s), _DIGITS)

    def _weighted_average(self, at_s: float) -> float:
        size, total = self._size, 0.0
        share = max(1 - (1 - _WEIGHT_SUM) ** (1 / size), _WEIGHT_MIN)
        weight = share
        for bucket in range(self._newest, self._newest - size, -1):
            passed_s = min(at_s, self._begin_of(bucket + 1)) - self._begin_of(bucket)
            if summed := self._sums[bucket % size]:
                total += weight * summed / max(self._covered[bucket % size], passed_s)
            weight *= 1 - share
        return total

    def _is_empty(self) -> bool:
        return self._sampled <= self._newest - self._size

    def _begin_of(self, bucket: int) -> float:
        return bucket * self._bucket_s

    def _advance(self, bucket: int) -> None:
        size = self._size
        if bucket <= self._newest:
            return
        first = max(self._newest + 1, bucket - size + 1)
        for passed in range(first, bucket + 1) if self._sums else ():
            self._sums[passed % size], self._covered[passed % size] = 0.0, 0.0
        self._newest = bucket
