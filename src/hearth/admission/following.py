"""What the config maps say now about objects that are admitted."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from hearth.api.config.serving import AUTOSCALER, DEFAULTS, FEATURES, ServingConfig, read_serving
from hearth.api.kinds import CONFIG_MAP
from hearth.api.meta import name_of
from hearth.api.names import KNATIVE_NAMESPACE
from hearth.runtime import Change, Informers

log = logging.getLogger(__name__)

_NAMES = (AUTOSCALER, DEFAULTS, FEATURES)


class FollowedConfig:
    """Keeps what holds; a map that is not understood changes nothing, and is in the log."""

    def __init__(self, informers: Informers) -> None:
        self._maps: dict[str, Mapping[str, str]] = {}
        self._config = ServingConfig()
        informers.of(CONFIG_MAP, namespace=KNATIVE_NAMESPACE, label_selector="").on_change(
            self._take
        )

    def __call__(self) -> ServingConfig:
        """What holds now."""
        return self._config

    def _take(self, change: Change) -> None:
        name = name_of(change.object)
        if name not in _NAMES:
            return
        maps = {**self._maps, name: (change.new or {}).get("data") or {}}
        try:
            self._config, self._maps = read_serving(maps), maps
        except ValueError as error:
            facts = {"config map": name, "because": str(error)}
            log.warning("config map is not understood, what held holds", extra={"f": facts})
