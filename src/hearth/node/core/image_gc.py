"""Which images a node whose disk fills up can do without: pure.

Source: kubelet's image garbage collection (pkg/kubelet/images/image_gc_manager.go).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

AGE_MIN_S = 120.0  #: an image that has just come is about to be used (kubelet's)


@dataclass(frozen=True, slots=True)
class Stored:
    """An image on the node; times are of a clock that never goes back."""

    id: str
    size_bytes: int
    first_seen_s: float
    last_used_s: float


def bytes_to_free(
    capacity_bytes: int, available_bytes: int, *, high_share: float, low_share: float
) -> int:
    """What must go: nothing until ``high_share`` is used, then down to ``low_share``."""
    if available_bytes > round(capacity_bytes * (1 - high_share)):
        return 0
    return max(0, round(capacity_bytes * (1 - low_share)) - available_bytes)


def to_remove(unused: Iterable[Stored], wanted_bytes: int, now_s: float) -> list[str]:
    """The images that go, those used longest ago first.

    Args:
        unused: images that no container has and that can be pulled again.
        wanted_bytes: to be freed.
        now_s: by the same clock.
    """
    gone, freed = [], 0
    for image in sorted(unused, key=lambda each: (each.last_used_s, each.first_seen_s)):
        if freed >= wanted_bytes:
            break
        if now_s - max(image.first_seen_s, image.last_used_s) >= AGE_MIN_S:
            gone.append(image.id)
            freed += image.size_bytes
    return gone
