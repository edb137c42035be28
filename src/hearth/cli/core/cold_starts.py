"""What is said of cold starts."""

from __future__ import annotations

import math
from collections.abc import Sequence


def summary(taken_ms: Sequence[int]) -> str:
    """Median and 99th percentile (the smallest that as many are not above); empty for none."""
    if not taken_ms:
        return ""
    ordered = sorted(taken_ms)
    p50, p99 = (ordered[math.ceil(len(ordered) * share) - 1] for share in (0.5, 0.99))
    return f"p50 {p50} ms, p99 {p99} ms, the last {len(ordered)}"
