"""Gives memory that is free again back to the system."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any


@cache
def _malloc_trim() -> Any:
    return getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; others need none


def give_back() -> None:
    """Let go of whole pages that a burst has left free: the allocator keeps them otherwise."""
    if (trim := _malloc_trim()) is not None:
        trim(0)
