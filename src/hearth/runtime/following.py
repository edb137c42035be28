"""What one of Knative's config maps says now."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from hearth.api.meta import name_of
from hearth.runtime.informer import Change, Informer

log = logging.getLogger(__name__)

T = TypeVar("T")


class Followed(Generic[T]):
    """Keeps what holds now; a map that is not understood changes nothing, and is in the log."""

    def __init__(
        self, config_maps: Informer, name: str, read: Callable[[Mapping[str, str]], T]
    ) -> None:
        """Follow the map ``name`` among ``config_maps``; one that is not there is empty."""
        self._name = name
        self._read = read
        self._now = read({})
        self._on_change: list[Callable[[], None]] = []
        config_maps.on_change(self._take)

    def __call__(self) -> T:
        """What holds now."""
        return self._now

    def on_change(self, handler: Callable[[], None]) -> None:
        """Call ``handler`` whenever something else holds."""
        self._on_change.append(handler)

    def _take(self, change: Change) -> None:
        if name_of(change.object) != self._name:
            return
        try:
            now = self._read((change.new or {}).get("data") or {})
        except ValueError as error:
            facts = {"config map": self._name, "because": str(error)}
            log.warning("config map is not understood, what held holds", extra={"f": facts})
            return
        if now != self._now:
            self._now = now
            for handler in self._on_change:
                handler()
