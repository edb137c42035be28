"""Gives Envoy the authorities by which instances prove who they are, as they change."""

from __future__ import annotations

from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret

from hearth.api.kinds import CONFIG_MAP
from hearth.api.meta import ObjectKey
from hearth.api.names import DOMAIN_CA, KNATIVE_NAMESPACE, SYSTEM_NAMESPACE, TRUST_LABEL
from hearth.api.trust import CA, bundle, bundled
from hearth.gateway.translate import trust_name
from hearth.gateway.xds import SECRETS, Resources
from hearth.kit.clock import Clock
from hearth.runtime import Change, Informers


class Trust:
    """Our own authority, and those that ConfigMaps of ``knative-serving`` give."""

    def __init__(self, informers: Informers, resources: Resources, clock: Clock, mark: str) -> None:
        """Prepare; ``mark`` is the gateway's own."""
        self._name = trust_name(mark)
        self._own = informers.of(CONFIG_MAP, namespace=SYSTEM_NAMESPACE, label_selector=TRUST_LABEL)
        self._given = informers.of(CONFIG_MAP, namespace=KNATIVE_NAMESPACE, label_selector="")
        self._key = ObjectKey(informers.tenant, SYSTEM_NAMESPACE, DOMAIN_CA)
        self._resources = resources
        self._clock = clock
        self._sent = ""

    def follow(self) -> None:
        """Begin with what is there, and take every change from now on."""
        self._own.on_change(self._changed)
        self._given.on_change(self._changed)

    def _changed(self, change: Change) -> None:
        own = (self._own.get(self._key) or {}).get("data") or {}
        given = [text for wire in self._given.list() for text in bundled(wire)]
        text = bundle([own.get(CA, ""), *given], self._clock.now())
        if text and text != self._sent:  # without any nobody would be believed
            self._sent = text
            message = Secret(name=self._name)
            message.validation_context.trusted_ca.inline_bytes = text.encode()
            self._resources.put(SECRETS, {self._name: message})
