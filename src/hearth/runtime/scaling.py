"""What ``config-autoscaler`` and ``config-deployment`` say now."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from hearth.api.config import AutoscalerConfig, read_autoscaler, read_deployment
from hearth.api.kinds import CONFIG_MAP
from hearth.api.meta import name_of
from hearth.api.names import KNATIVE_NAMESPACE
from hearth.runtime.informer import Change, Informer, Informers

log = logging.getLogger(__name__)

_AUTOSCALER, _DEPLOYMENT = "config-autoscaler", "config-deployment"


class ScalingConfig:
    """Keeps what holds now; a map that is not understood changes nothing, and is in the log."""

    def __init__(self, config_maps: Informer) -> None:
        """Follow ``config_maps``, those of namespace ``knative-serving``."""
        self._now = AutoscalerConfig()
        self._data: dict[str, Mapping[str, str]] = {}
        self._on_change: list[Callable[[AutoscalerConfig], None]] = []
        config_maps.on_change(self._take)

    @classmethod
    def of(cls, informers: Informers) -> ScalingConfig:
        """Follow the config maps that ``informers`` watch."""
        return cls(informers.of(CONFIG_MAP, namespace=KNATIVE_NAMESPACE, label_selector=""))

    def __call__(self) -> AutoscalerConfig:
        """What holds now."""
        return self._now

    def on_change(self, handler: Callable[[AutoscalerConfig], None]) -> None:
        """Call ``handler`` whenever something else holds."""
        self._on_change.append(handler)

    def _take(self, change: Change) -> None:
        name = name_of(change.object)
        if name not in (_AUTOSCALER, _DEPLOYMENT):
            return
        data = {**self._data, name: (change.new or {}).get("data") or {}}
        try:
            deadline_s = read_deployment(data.get(_DEPLOYMENT, {})).progress_deadline_s
            now = replace(
                read_autoscaler(data.get(_AUTOSCALER, {})), progress_deadline_s=deadline_s
            )
        except ValueError as error:
            facts = {"config map": name, "because": str(error)}
            log.warning("config map is not understood, what held holds", extra={"f": facts})
            return
        self._data = data
        if now != self._now:
            self._now = now
            for handler in self._on_change:
                handler(now)
