"""Keeps the Certificates that a Route or DomainMapping wants."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from hearth.api.errors import NotFound
from hearth.api.kinds import CERTIFICATE
from hearth.api.meta import Wire, controller_of, key_of, name_of, namespace_of, uid_of
from hearth.api.names import EXTERNAL_DOMAIN
from hearth.client import Client
from hearth.controllers.core.metadata import brought_to, differs
from hearth.controllers.core.tls import is_owned, type_of
from hearth.controllers.writing import Newest, create_or_get
from hearth.runtime import Informer

#: Index of Certificates by the UID of their owner.
BY_OWNER = "owner"


def owner_uids(certificate: Wire) -> list[str]:
    """For the index :data:`BY_OWNER`."""
    owner = controller_of(certificate)
    return [str(owner["uid"])] if owner else []


@dataclass(frozen=True, slots=True)
class CertificateKeeper:
    """Owner → Certificates."""

    client: Client
    cache: Informer  #: indexed :data:`BY_OWNER`
    certificates: Newest

    def of(self, owner: Wire, types: Collection[str] = (EXTERNAL_DOMAIN,)) -> list[Wire]:
        """What the owner has of these types."""
        found = self.cache.by_index(BY_OWNER, uid_of(owner))
        return sorted((one for one in found if type_of(one) in types), key=name_of)

    async def keep(
        self, owner: Wire, wanted: Sequence[Wire], types: Collection[str] = (EXTERNAL_DOMAIN,)
    ) -> list[Wire]:
        """Make those that are missing, change those that differ, remove the owner's others.

        Those of other ``types`` stay: where a kind of TLS is disabled later, they are not asked for
        anew should it be enabled again.

        Returns:
            For each wanted one what there is under its name; it may be another owner's.
        """
        names = {name_of(one) for one in wanted}
        for one in self.of(owner, types):
            if name_of(one) not in names:
                await self._remove(one)
        return [await self._keep_one(owner, one) for one in wanted]

    async def _keep_one(self, owner: Wire, wanted: Wire) -> Wire:
        key = key_of(wanted, self.client.tenant)
        found = self.certificates.get(key)
        if found is None:
            found, _ = await create_or_get(self.client, CERTIFICATE, wanted)
        if is_owned(found, owner) and differs(found, wanted):
            return await self.certificates.update(key, brought_to(found, wanted))
        return found

    async def _remove(self, certificate: Wire) -> None:
        try:
            await self.client.delete(CERTIFICATE, namespace_of(certificate), name_of(certificate))
        except NotFound:
            return
