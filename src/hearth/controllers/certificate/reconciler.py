"""Has each Certificate issued, keeps it in its Secret, and renews it in time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hearth.api.errors import NotFound
from hearth.api.kinds import SECRET
from hearth.api.meta import (
    ObjectKey,
    Wire,
    is_deleting,
    metadata,
    namespace_of,
    resource_version_of,
    spec_of,
)
from hearth.api.names import PROGRAMMED_CERTIFICATES_ANNOTATION
from hearth.client import Client
from hearth.controllers.certificate.core.state import (
    Held,
    Seen,
    certificate_status,
    held,
    hosts_of,
    is_foreign,
    make_secret,
)
from hearth.controllers.certificate.issuing import IssueError, Issuer
from hearth.controllers.core.tls import class_of
from hearth.controllers.route.core.gateways import ingress_of
from hearth.controllers.writing import Events, Newest
from hearth.kit.backoff import backoff_s
from hearth.kit.clock import Clock
from hearth.runtime import Informer, Result

_AGAIN_S = 5.0  #: after a failure, doubled each time
_AGAIN_MAX_S = 3600.0  #: an issuer limits how often it may be asked in vain
_PUBLISH_S = 30.0
_LOOK_S = 0.1
_LEASE_S = 10.0  #: to look again whether the gateways serve it


@dataclass(frozen=True, slots=True)
class _Failure:
    """What an issuer refused last, and until when it is not asked for the same again."""

    count: int
    until: datetime
    asked: Wire  #: the Certificate's spec
    error: IssueError


@dataclass(slots=True)
class CertificateReconciler:
    """Certificate → Secret, status."""

    client: Client
    certificates: Newest
    secrets: Informer  #: those of type ``kubernetes.io/tls``
    gateways: Informer  #: the gateways' Leases
    issuers: Mapping[str, Issuer]  #: by class; those of other classes are left alone
    clock: Clock
    events: Events
    _failures: dict[ObjectKey, _Failure] = field(default_factory=dict)

    async def reconcile(self, key: ObjectKey) -> Result:
        """Issue what is missing or due; look again when it is to be renewed."""
        certificate = self.certificates.get(key)
        issuer = self.issuers.get(class_of(certificate)) if certificate else None
        if certificate is None or issuer is None or is_deleting(certificate):
            self._failures.pop(key, None)
            return Result()
        secret = self.secrets.get(key._replace(name=str(spec_of(certificate).get("secretName"))))
        found = held(certificate, secret)
        if self._is_due(found):
            secret = await self._stored(certificate)  # the cache may lag behind what was issued
            found = held(certificate, secret)
        if not self._is_due(found):
            self._failures.pop(key, None)
            return await self._write(key, found, secret)
        if failure := self._failure(key, certificate):
            await self._write(key, found, secret, failure.error)
            return Result(again_after_s=(failure.until - self.clock.now()).total_seconds())
        try:
            if is_foreign(certificate, secret):
                said = "there is a Secret of that name that is not the Certificate's"
                raise IssueError("SecretNotOwned", said)  # noqa: TRY301 - told as an issuer's
            secret, found = await self._issue(key, issuer, found, secret)
        except IssueError as error:
            return await self._failed(key, certificate, found, secret, error)
        self._failures.pop(key, None)
        return await self._write(key, found, secret)

    def try_again(self) -> None:
        """Ask the issuers again at once: what they need may be there now."""
        self._failures.clear()

    def _is_due(self, found: Held | None) -> bool:
        return found is None or found.renew_at <= self.clock.now()

    def _failure(self, key: ObjectKey, certificate: Wire) -> _Failure | None:
        """What is not to be tried again yet; another issuer or other hosts are tried at once."""
        failure = self._failures.get(key)
        if failure and failure.until > self.clock.now() and failure.asked == _asked(certificate):
            return failure
        return None

    async def _stored(self, certificate: Wire) -> Wire | None:
        name = str(spec_of(certificate).get("secretName"))
        try:
            return await self.client.get(SECRET, namespace_of(certificate), name)
        except NotFound:
            return None

    async def _issue(
        self, key: ObjectKey, issuer: Issuer, found: Held | None, secret: Wire | None
    ) -> tuple[Wire, Held | None]:
        certificate = self.certificates.get(key)
        assert certificate is not None

        async def publish(challenges: Sequence[Wire]) -> None:
            await self._publish(key, challenges, found, secret)

        issued = await issuer.issue(certificate, hosts_of(certificate), publish)
        wire = make_secret(certificate, issued.pair, issued.authority)
        if secret is None:
            stored = await self.client.create(SECRET, wire)
        else:
            meta = {**wire["metadata"], "resourceVersion": metadata(secret)["resourceVersion"]}
            stored = await self.client.update(SECRET, {**wire, "metadata": meta})
        self.events.record(certificate, "Normal", "Issued", f"issued by {class_of(certificate)}")
        return stored, held(certificate, stored)

    async def _publish(
        self, key: ObjectKey, challenges: Sequence[Wire], found: Held | None, secret: Wire | None
    ) -> None:
        certificate = self.certificates.get(key)
        assert certificate is not None
        seen = Seen(found, secret, self.gateways.list(), self.clock.now(), challenges=challenges)
        status = certificate_status(certificate, seen)
        written = await self.certificates.write_status(key, certificate, status)
        version = resource_version_of(written)
        try:
            async with asyncio.timeout(_PUBLISH_S):
                while not self._programmed(version):  # noqa: ASYNC110 - Leases are written slowly
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError as error:
            said = f"the gateways do not answer the challenge {_PUBLISH_S:.0f} s after it was made"
            raise IssueError("ChallengeNotServed", said) from error

    def _programmed(self, version: str) -> bool:
        leases, noted = self.gateways.list(), PROGRAMMED_CERTIFICATES_ANNOTATION
        return ingress_of(leases, version, self.clock.now(), noted).programmed

    async def _failed(
        self,
        key: ObjectKey,
        certificate: Wire,
        found: Held | None,
        secret: Wire | None,
        error: IssueError,
    ) -> Result:
        was = self._failures.get(key)
        count = was.count + 1 if was else 1
        again_s = backoff_s(count, base_s=_AGAIN_S, max_s=_AGAIN_MAX_S)
        until = self.clock.now() + timedelta(seconds=again_s)
        self._failures[key] = _Failure(count, until, _asked(certificate), error)
        self.events.record(certificate, "Warning", error.reason, str(error))
        await self._write(key, found, secret, error)
        return Result(again_after_s=again_s)

    async def _write(
        self,
        key: ObjectKey,
        found: Held | None,
        secret: Wire | None,
        error: IssueError | None = None,
    ) -> Result:
        certificate = self.certificates.get(key)
        if certificate is None:
            return Result()
        now = self.clock.now()
        fault = (error.reason, str(error)) if error else ("", "")
        seen = Seen(found, secret, self.gateways.list(), now, fault)
        await self.certificates.write_status(
            key, certificate, certificate_status(certificate, seen)
        )
        due_s = (found.renew_at - now).total_seconds() if found else _LEASE_S
        return Result(again_after_s=max(due_s, 1.0))


def _asked(certificate: Wire) -> Wire:
    return {**spec_of(certificate), "class": class_of(certificate)}
