"""Looks at what pods take of the disk, and evicts those that took more than they may."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

from hearth.api.meta import Wire, spec_of
from hearth.node.core.storage import Used, excess, is_limited

_BLOCK_BYTES = 512  #: of ``st_blocks``


class Measured(Protocol):
    """A pod whose disk can be measured, and that can be evicted."""

    @property
    def pod(self) -> Wire:
        """As stored."""
        ...

    async def storage(self) -> Used:
        """What it takes now."""
        ...

    def evict(self, message: str) -> None:
        """End it for good."""
        ...


async def evict_those_that_exceed(pods: Callable[[], Collection[Measured]], every_s: float) -> None:
    """Look every so often, until cancelled."""
    while True:
        await asyncio.sleep(every_s)
        for each in pods():
            if is_limited(spec_of(each.pod)) and (
                said := excess(spec_of(each.pod), await each.storage())
            ):
                each.evict(said)


async def bytes_below(folder: Path) -> int:
    """What the files below a folder take on disk."""
    return await asyncio.to_thread(_bytes_below, folder)


def _bytes_below(folder: Path) -> int:
    total = 0
    for where, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(f"{where}/{name}").st_blocks * _BLOCK_BYTES
            except OSError:  # gone meanwhile
                continue
    return total
