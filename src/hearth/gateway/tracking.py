"""Which clusters' load Envoy reports: those with instances, and those with requests.

A thousand services at zero have nothing to report; asking Envoy for all of them ten times a second
took 3 % of a core there and as much here (measured).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

_SETTLE_S = 0.02  #: changes within this are told together


class Tracking:
    """The clusters to report. Belongs to one event loop."""

    def __init__(self) -> None:
        self._with_instances: set[str] = set()
        self._busy: set[str] = set()
        self._changed = asyncio.Event()

    @property
    def clusters(self) -> frozenset[str]:
        """Their names."""
        return frozenset(self._with_instances | self._busy)

    def has_instances(self, cluster: str, there_are: bool) -> None:
        """The cluster has instances, or has none any more."""
        self._put(self._with_instances, cluster, there_are)

    def is_busy(self, cluster: str, busy: bool) -> None:
        """Requests are held or in flight for the cluster, or none are any more."""
        self._put(self._busy, cluster, busy)

    async def changes(self) -> AsyncIterator[frozenset[str]]:
        """The clusters now, and again after each change."""
        told = None
        while True:
            changed = self._changed
            if (clusters := self.clusters) != told:
                told = clusters
                yield clusters
            await changed.wait()
            await asyncio.sleep(_SETTLE_S)

    def _put(self, names: set[str], cluster: str, there: bool) -> None:
        if (cluster in names) == there:
            return
        (names.add if there else names.discard)(cluster)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
