"""How hosts are named now: the settings and Knative's config maps, read live."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from hearth.api.config import read_domains, read_features, read_network
from hearth.api.meta import name_of
from hearth.controllers.route.core.domains import Domain
from hearth.runtime import Change, Informer

log = logging.getLogger(__name__)


class Naming:
    """Keeps the :class:`Domain` that holds now, and says when it changes."""

    def __init__(self, domain: Domain, config_maps: Informer) -> None:
        """Begin with ``domain``; ``config_maps`` are those of namespace ``knative-serving``."""
        self._domain = domain
        self._on_change: list[Callable[[], None]] = []
        config_maps.on_change(self._take)

    def __call__(self) -> Domain:
        """What holds now."""
        return self._domain

    def on_change(self, handler: Callable[[], None]) -> None:
        """Call ``handler`` whenever something else holds."""
        self._on_change.append(handler)

    def _take(self, change: Change) -> None:
        data = (change.new or {}).get("data") or {}
        try:
            domain = self._with(name_of(change.object), data)
        except ValueError as error:
            facts = {"config map": name_of(change.object), "because": str(error)}
            log.warning("config map is not understood, what held holds", extra={"f": facts})
            return
        if domain == self._domain:
            return
        self._domain = domain
        for handler in self._on_change:
            handler()

    def _with(self, name: str, data: dict[str, str]) -> Domain:
        if name == "config-network":
            return replace(self._domain, network=read_network(data))
        if name == "config-domain":
            return replace(self._domain, domains=read_domains(data))
        if name == "config-features":
            return replace(self._domain, features=read_features(data))
        return self._domain
