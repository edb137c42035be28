"""The certificate by which the parts of Hearth know each other on a cluster, and the token.

Kept in Secrets of ``hearth-system``, made by whichever controller comes first; the cluster's API
server is told of the authority in the webhooks' ``caBundle``.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import secrets
import ssl
import tempfile
from datetime import timedelta

from hearth.api.errors import AlreadyExists, ApiError, NotFound
from hearth.api.kinds import MUTATING_WEBHOOKS, SECRET, VALIDATING_WEBHOOKS
from hearth.api.meta import Wire
from hearth.api.names import SYSTEM_NAMESPACE, WEBHOOK_CONFIGURATION
from hearth.client import Client, PatchType
from hearth.kit.clock import Clock
from hearth.kit.x509 import Pair, make_authority, make_certificate, read_pair
from hearth.runtime.internal import internal_secret

log = logging.getLogger(__name__)

#: Any Service of ours: what is served by another shard or part needs no certificate of its own.
HOSTS = (f"*.{SYSTEM_NAMESPACE}.svc", f"*.{SYSTEM_NAMESPACE}.svc.cluster.local")
AUTHORITY_LIFETIME = timedelta(days=3650)
LIFETIME = timedelta(days=90)
RENEWED_BEFORE = timedelta(days=30)
CHECKED_EVERY_S = 600.0  #: whether the certificate ends soon, and the webhooks know the authority
_AUTHORITY, _TLS = "internal-ca", "internal-tls"


class Authority:
    """Keeps the Secrets, the webhooks' ``caBundle`` and a server's context up to date."""

    def __init__(self, client: Client, clock: Clock) -> None:
        """Nothing is read or written yet."""
        self._client = client
        self._clock = clock
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    async def open(self) -> None:
        """Make what is missing, and load the certificate."""
        await self._secret("internal", {"token": secrets.token_urlsafe(32).encode()})
        await self._secret("pool-key", {"key": secrets.token_bytes(32)})
        await self._refresh()

    async def run(self) -> None:
        """Renew the certificate in time and tell the API server, until cancelled."""
        while True:
            try:
                await self._refresh()
                await self._tell()
                pause_s = CHECKED_EVERY_S
            except (ApiError, ConnectionError) as error:
                log.warning("certificate not checked", extra={"f": {"because": str(error)}})
                pause_s = 1.0
            await asyncio.sleep(pause_s)

    async def _refresh(self) -> None:
        authority = await self._authority()
        tls = await self._secret(_TLS, self._certificate(authority))
        if self._ends_soon(tls, authority):
            tls = self._certificate(authority)
            await self._client.apply(SECRET, _wire(_TLS, tls))
            log.info("certificate renewed", extra={"f": {"secret": _TLS}})
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:  # ssl reads files only
            file.write(tls["tls.crt"] + b"\n" + tls["tls.key"])
            file.flush()
            self.context.load_cert_chain(file.name)

    async def _authority(self) -> Pair:
        made = make_authority("hearth internal", AUTHORITY_LIFETIME, self._clock.now())
        data = await self._secret(_AUTHORITY, {"ca.crt": made.certificate, "ca.key": made.key})
        return Pair(data["ca.crt"], data["ca.key"])

    def _certificate(self, authority: Pair) -> dict[str, bytes]:
        made = make_certificate(HOSTS, authority, LIFETIME, self._clock.now())
        data = {"tls.crt": made.certificate, "tls.key": made.key}
        return {**data, "ca.crt": authority.certificate}

    def _ends_soon(self, tls: dict[str, bytes], authority: Pair) -> bool:
        try:
            facts = read_pair(Pair(tls["tls.crt"], tls["tls.key"]))
        except (KeyError, ValueError):
            return True
        ends_soon = facts.not_after - self._clock.now() < RENEWED_BEFORE
        return ends_soon or tls.get("ca.crt") != authority.certificate

    async def _secret(self, name: str, data: dict[str, bytes]) -> dict[str, bytes]:
        """The Secret's data; ``data`` where there is none yet."""
        try:
            return await internal_secret(self._client, name)
        except NotFound:
            try:
                await self._client.create(SECRET, _wire(name, data))
            except AlreadyExists:
                return await internal_secret(self._client, name)
            return data

    async def _tell(self) -> None:
        authority = await self._authority()
        bundle = base64.b64encode(authority.certificate).decode()
        for kind in (MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS):
            try:
                there = await self._client.get(kind, "", WEBHOOK_CONFIGURATION)
            except NotFound:
                continue  # who installed us wants no webhooks
            told = [
                {"name": hook["name"], "clientConfig": {"caBundle": bundle}}
                for hook in there.get("webhooks") or ()
                if (hook.get("clientConfig") or {}).get("caBundle") != bundle
            ]
            if told:
                patch = {"webhooks": told}
                await self._client.patch(
                    kind, "", WEBHOOK_CONFIGURATION, patch, patch_type=PatchType.STRATEGIC
                )


def _wire(name: str, data: dict[str, bytes]) -> Wire:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    meta = {"name": name, "namespace": SYSTEM_NAMESPACE}
    return {
        "apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "Opaque", "data": encoded,
    }  # fmt: skip
