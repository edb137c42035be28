"""Our own certificate authority, kept in a Secret that all controllers share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from hearth.api.errors import NotFound
from hearth.api.kinds import CONFIG_MAP, SECRET
from hearth.api.meta import Wire, namespace_of
from hearth.api.names import DOMAIN_CA, SYSTEM_NAMESPACE, TLS_SECRET
from hearth.api.networking import is_of_another_namespace
from hearth.api.tls import data_of, pair_of
from hearth.api.trust import CA, bundle
from hearth.client import Client
from hearth.controllers.certificate.issuing import Issued, IssueError, Publish
from hearth.controllers.core.trust import brought_up_to_date, make_trust
from hearth.controllers.writing import create_or_get
from hearth.kit.clock import Clock
from hearth.kit.x509 import Pair, make_authority, make_certificate, read_pair

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
        namespace = namespace_of(certificate)
        if foreign := [host for host in hosts if is_of_another_namespace(host, namespace)]:
            said = f"found {', '.join(foreign)}, expected names of namespace {namespace}"
            raise IssueError("HostNotOwned", said)
        authority = await self._authority()
        await self._tell(authority.certificate.decode())
        made = make_certificate(hosts, authority, _LIFE, self.clock.now())
        return Issued(made, authority.certificate)

    async def trusted(self) -> str:
        """What clients must trust (PEM): the authority, which is made when there is none.

        Those before it are in it until they end: what they have signed is still served.

        Raises:
            IssueError: the authority's Secret cannot be used.
        """
        return await self._tell((await self._authority()).certificate.decode())

    async def _authority(self) -> Pair:
        secret = await self._secret()
        try:
            authority = pair_of(secret)
            facts = read_pair(authority)
        except ValueError as error:
            raise IssueError("AuthorityNotUsable", f"{self._where}: {error}") from error
        if facts.not_after < self.clock.now() + _LIFE:
            said = f"{self._where}: ends at {facts.not_after:%Y-%m-%d}, before what it would sign"
            raise IssueError("AuthorityNotUsable", f"{said}; remove it to have a new one made")
        return authority

    @property
    def _where(self) -> str:
        return f"secret {SYSTEM_NAMESPACE}/{DOMAIN_CA}"

    async def _tell(self, trusted: str) -> str:
        """Put the authority's certificate where those can read it who must not have its key."""
        wanted = make_trust(DOMAIN_CA, SYSTEM_NAMESPACE, trusted)
        found, created = await create_or_get(self.client, CONFIG_MAP, wanted)
        if created:
            return trusted
        was = (found.get("data") or {}).get(CA) or ""
        text = bundle([trusted, was], self.clock.now())
        changed = brought_up_to_date(found, make_trust(DOMAIN_CA, SYSTEM_NAMESPACE, text))
        if changed is not None:
            await self.client.update(CONFIG_MAP, changed)
        return text

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
