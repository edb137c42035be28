"""Gives Envoy the certificates of hosts, from Secrets, as they change."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial

from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret

from hearth.api.kinds import CERTIFICATE, DOMAIN_MAPPING, SECRET
from hearth.api.meta import ObjectKey, Wire, key_of
from hearth.api.names import (
    PROGRAMMED_CERTIFICATES_ANNOTATION,
    PROGRAMMED_SECRETS_ANNOTATION,
    TLS_SECRET,
)
from hearth.api.tls import pair_of
from hearth.gateway.core.certificates import (
    challenges_of,
    may_serve,
    precedence,
    secrets_of_certificate,
    secrets_of_mapping,
)
from hearth.gateway.xds import SECRETS, Resources
from hearth.kit.clock import Clock
from hearth.kit.x509 import Pair, read_pair
from hearth.runtime import Change, Informer, Informers

log = logging.getLogger(__name__)

_BY_HOST = "tls host"
_BY_SECRET = "tls secret"

Ref = Callable[[Wire, str], dict[str, ObjectKey]]


class Certificates:
    """The certificates that there are, by host. Belongs to one event loop."""

    def __init__(self, informers: Informers, resources: Resources, clock: Clock) -> None:
        self._resources = resources
        self._clock = clock
        self._tenant = informers.tenant
        self._mappings = informers.of(DOMAIN_MAPPING, label_selector="")
        self._certificates = informers.of(CERTIFICATE, label_selector="")
        self._secrets = informers.of(SECRET, label_selector="", field_selector=f"type={TLS_SECRET}")
        self._sources: tuple[tuple[Informer, Ref], ...] = (
            (self._mappings, secrets_of_mapping),  # what a user names goes first
            (self._certificates, secrets_of_certificate),
        )
        for informer, refs in self._sources:
            informer.add_index(_BY_HOST, partial(self._refs, refs))
            informer.add_index(_BY_SECRET, partial(self._secrets_of, refs))
        self._served: dict[str, Pair] = {}
        #: told of every host whose certificate or challenge may have changed
        self.on_host: Callable[[str], None] = lambda host: None

    def follow(self) -> None:
        """Begin with what is there, and take every change from now on."""
        for informer, refs in self._sources:
            informer.on_change(partial(self._source_changed, refs))
        self._secrets.on_change(self._secret_changed)

    def challenges_of(self, host: str) -> tuple[tuple[str, str], ...]:
        """What must be answered on the host for an ACME server: paths and bodies."""
        certificates = self._certificates.by_index(_BY_HOST, host) if host else []
        return tuple(one for wire in certificates for one in challenges_of(wire, host))

    @property
    def versions(self) -> dict[str, int]:
        """By annotation of the Lease: what is served up to this resourceVersion."""
        return {
            PROGRAMMED_CERTIFICATES_ANNOTATION: int(self._certificates.resource_version or 0),
            PROGRAMMED_SECRETS_ANNOTATION: int(self._secrets.resource_version or 0),
        }

    def _refs(self, refs: Ref, wire: Wire) -> dict[str, ObjectKey]:
        return refs(wire, key_of(wire, self._tenant).tenant)

    def _secrets_of(self, refs: Ref, wire: Wire) -> set[str]:
        return {str(key) for key in self._refs(refs, wire).values()}

    def _source_changed(self, refs: Ref, change: Change) -> None:
        wires = [wire for wire in (change.old, change.new) if wire is not None]
        self._refresh({host for wire in wires for host in self._refs(refs, wire)})

    def _secret_changed(self, change: Change) -> None:
        hosts: set[str] = set()
        for informer, refs in self._sources:
            for wire in informer.by_index(_BY_SECRET, str(change.key)):
                named = self._refs(refs, wire)
                hosts |= {host for host, key in named.items() if key == change.key}
        self._refresh(hosts)

    def _refresh(self, hosts: Iterable[str]) -> None:
        for host in hosts:
            self._refresh_one(host)
            self.on_host(host)

    def _refresh_one(self, host: str) -> None:
        keys = self._secrets_for(host)
        if not keys:
            if self._served.pop(host, None) is not None:
                self._resources.remove(SECRETS, [host])
            return
        for key in keys:
            secret = self._secrets.get(key)
            pair = self._usable(secret, key, host) if secret is not None else None
            if pair is not None:
                self._serve(host, pair)
                return

    def _secrets_for(self, host: str) -> list[ObjectKey]:
        return [
            self._refs(refs, wire)[host]
            for informer, refs in self._sources
            for wire in sorted(informer.by_index(_BY_HOST, host), key=precedence)
        ]

    def _usable(self, secret: Wire, key: ObjectKey, host: str) -> Pair | None:
        try:
            pair = pair_of(secret)
            facts = read_pair(pair)
        except ValueError as error:
            facts_said = {"secret": str(key), "host": host, "because": str(error)}
            log.warning("certificate cannot be served", extra={"f": facts_said})
            return None
        others = self._served.get(host, pair) != pair
        return pair if may_serve(facts, host, self._clock.now(), has_other=others) else None

    def _serve(self, host: str, pair: Pair) -> None:
        if self._served.get(host) == pair:
            return
        self._served[host] = pair
        message = Secret(name=host)
        message.tls_certificate.certificate_chain.inline_bytes = pair.certificate
        message.tls_certificate.private_key.inline_bytes = pair.key
        self._resources.put(SECRETS, {host: message})
