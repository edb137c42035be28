"""Traces: tells Envoy where its spans go, and sends those of activations itself."""

from __future__ import annotations

import json
from pathlib import Path

from hearth.api.config import read_observability
from hearth.api.kinds import CONFIG_MAP
from hearth.api.names import KNATIVE_NAMESPACE
from hearth.gateway.listeners import Addresses, make_listeners
from hearth.gateway.observing import make_collector, traces_name
from hearth.gateway.settings import GatewaySettings
from hearth.gateway.spans import Spans
from hearth.gateway.xds import CLUSTER, Resources
from hearth.runtime import Informers
from hearth.runtime.following import Followed


class Traces:
    """Of one gateway; keeps the file with its listeners. Belongs to one event loop."""

    def __init__(
        self,
        informers: Informers,
        resources: Resources,
        settings: GatewaySettings,
        addresses: Addresses,
        spans: Spans,
    ) -> None:
        config_maps = informers.of(CONFIG_MAP, namespace=KNATIVE_NAMESPACE, label_selector="")
        self._config = Followed(config_maps, "config-observability", read_observability)
        self._resources = resources
        self._addresses = addresses
        self._settings = settings
        self._spans = spans
        self.listeners: Path = settings.state / "listeners.json"
        self._text = ""
        self._collector = ""  #: the cluster of the one that spans are sent to

    def follow(self) -> None:
        """Write the file, and write it anew when something else is asked for."""
        self._config.on_change(self._configure)
        self._configure()

    def _configure(self) -> None:
        tracing = self._config().tracing
        name = traces_name(tracing) if tracing is not None else ""
        if tracing is not None:
            self._resources.put(CLUSTER, {name: make_collector(tracing)})
        if self._collector not in ("", name):
            self._resources.remove(CLUSTER, [self._collector])
        self._collector = name
        self._spans.send_to(tracing)
        listeners = make_listeners(
            self._addresses,
            headers_timeout_s=self._settings.headers_timeout_s,
            body_timeout_s=self._settings.body_timeout_s,
            tracing=tracing,
        )
        text = json.dumps(listeners)
        if text != self._text:
            self._text = text
            self.listeners.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            new = self.listeners.with_suffix(".new")
            new.write_text(text)
            new.replace(self.listeners)  # Envoy looks when a file is moved there
