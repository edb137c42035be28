"""Our own certificate authority, kept in a Secret that all controllers share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from hearth.api.errors import NotFound
from hearth.api.kinds import CONFIG_MAP, SECRET
from hearth.api.meta import Wire
from hearth.api.names import DOMAIN_CA, SYSTEM_NAMESPACE, TLS_SECRET
from hearth.api.tls import data_of, pair_of
from hearth.client import Client
from hearth.controllers.certificate.issuing import Issued, IssueError, Publish
from hearth.controllers.writing import create_or_get
from hearth.kit.clock import Clock
from hearth.kit.x509 import make_authority, make_certificate, read_pair

_AUTHORITY_LIFE = timedelta(days=3650)
_LIFE = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Authority:
    """Issues certificates at once."""

    client: Client
    clock: Clock

    async def issue(self, certificate: Wire, hosts: list[str], publish: Publish) -> Issued:
        """A certificate for the hosts, signed by the authority, which is made when there is none.

        Raises:
            IssueError: the authority's Secret cannot be used.
        """
        secret = await self._secret()
        try:
            authority = pair_of(secret)
            facts = read_pair(authority)
        except ValueError as error:
            raise IssueError("AuthorityNotUsable", f"{self._where}: {error}") from error
        now = self.clock.now()
        if facts.not_after < now + _LIFE:
            said = f"{self._where}: ends at {facts.not_after:%Y-%m-%d}, before what it would sign"
            raise IssueError("AuthorityNotUsable", f"{said}; remove it to have a new one made")
        await self._tell(authority.certificate.decode())
        return Issued(make_certificate(hosts, authority, _LIFE, now), authority.certificate)

    @property
    def _where(self) -> str:
        return f"secret {SYSTEM_NAMESPACE}/{DOMAIN_CA}"

    async def _tell(self, trusted: str) -> None:
        """Put the authority's certificate where those can read it who must not have its key."""
        wire = {
            "apiVersion": CONFIG_MAP.api_version,
            "kind": CONFIG_MAP.kind,
            "metadata": {"name": DOMAIN_CA, "namespace": SYSTEM_NAMESPACE},
            "data": {"ca.crt": trusted},
        }
        found, _ = await create_or_get(self.client, CONFIG_MAP, wire)
        if found.get("data") != wire["data"]:
            await self.client.update(CONFIG_MAP, {**found, "data": wire["data"]})

    async def _secret(self) -> Wire:
        try:
            return await self.client.get(SECRET, SYSTEM_NAMESPACE, DOMAIN_CA)
        except NotFound:
            made = make_authority("hearth-domain-ca", _AUTHORITY_LIFE, self.clock.now())
            wire = {
                "apiVersion": SECRET.api_version,
                "kind": SECRET.kind,
                "metadata": {"name": DOMAIN_CA, "namespace": SYSTEM_NAMESPACE},
                "type": TLS_SECRET,
                "data": data_of(made),
            }
            found, _ = await create_or_get(self.client, SECRET, wire)
            return found
