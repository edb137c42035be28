"""Exponential back-off, as a pure function."""

from __future__ import annotations


def backoff_s(failures: int, *, base_s: float = 0.005, max_s: float = 60.0) -> float:
    """Seconds to wait after ``failures`` failures in a row, 0 <= n; doubles from ``base_s``.

    Source:
        client-go's ItemExponentialFailureRateLimiter (5 ms doubling), with a lower ceiling.
    """
    if failures <= 0:
        return 0.0
    return float(min(max_s, base_s * 2 ** min(failures - 1, 40)))
