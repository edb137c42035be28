"""Certificates from an ACME server (RFC 8555), which asks at the host itself (HTTP-01).

``acme``, the library of certbot, speaks the protocol. It is loaded when the first certificate is
asked for: it costs 15 MiB. Its calls block, so each is made in a thread, and none takes longer than
its time limit; waiting between them is ours.
"""

from __future__ import annotations

import asyncio
import base64
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hearth.api.config import AcmeConfig
from hearth.api.errors import NotFound
from hearth.api.kinds import SECRET
from hearth.api.meta import Wire
from hearth.api.names import SYSTEM_NAMESPACE
from hearth.client import Client
from hearth.controllers.certificate.issuing import Issued, IssueError, Publish
from hearth.controllers.writing import create_or_get
from hearth.kit.x509 import Pair, make_key

if TYPE_CHECKING:
    from acme.client import ClientV2

#: The Secret with the key of our account at the server.
ACCOUNT_SECRET = "acme-account"
_CALL_S = 10  #: a call to the server
_ORDER_S = 120.0  #: an order from its beginning to its certificate
_LOOK_S = 1.0  #: between two looks at what the server has decided


@dataclass(frozen=True, slots=True)
class Acme:
    """Orders certificates from the server that ``config-acme`` names."""

    client: Client
    config: Callable[[], AcmeConfig]  #: raises ValueError while there is none

    async def issue(self, certificate: Wire, hosts: list[str], publish: Publish) -> Issued:
        """A certificate for the hosts, once the server has found our answers there.

        Raises:
            IssueError: there is no server, or it refuses.
        """
        try:
            config = self.config()
        except ValueError as error:
            said = f"config map knative-serving/config-acme: {error}"
            raise IssueError("NotConfigured", said) from error
        account = await self._account_key()
        with tempfile.TemporaryDirectory(prefix="hearth-acme-") as folder:
            try:
                async with asyncio.timeout(_ORDER_S):
                    session = _Session(config, account, Path(folder))
                    return await session.order(hosts, publish)
            except TimeoutError as error:
                said = f"{config.server} has not issued it {_ORDER_S:.0f} s after it was ordered"
                raise IssueError("OrderFailed", said) from error

    async def _account_key(self) -> bytes:
        try:
            found = await self.client.get(SECRET, SYSTEM_NAMESPACE, ACCOUNT_SECRET)
        except NotFound:
            wire = {
                "apiVersion": SECRET.api_version,
                "kind": SECRET.kind,
                "metadata": {"name": ACCOUNT_SECRET, "namespace": SYSTEM_NAMESPACE},
                "type": "Opaque",
                "data": {"key": base64.b64encode(make_key()).decode()},
            }
            found, _ = await create_or_get(self.client, SECRET, wire)
        return base64.b64decode(found["data"]["key"])


class _Session:
    """One order at the server."""

    def __init__(self, config: AcmeConfig, account: bytes, folder: Path) -> None:
        self._config = config
        self._account = account
        self._folder = folder  #: for files that the library reads
        self._server: ClientV2

    async def order(self, hosts: list[str], publish: Publish) -> Issued:
        """Have the hosts validated, and fetch the certificate.

        Raises:
            IssueError: the server refuses, or cannot be reached.
        """
        await self._call(self._connect)
        key = make_key()
        order = await self._call(lambda: self._server.new_order(_request(key, hosts)))
        asked = [_asked(one) for one in order.authorizations if not _is_valid(one)]
        account = self._server.net.key
        answers = [(one, *one.response_and_validation(account)) for _, one in asked]
        await publish(
            [
                {"url": one.chall.uri(host), "keyAuthorization": validation}
                for (host, one), (_, _, validation) in zip(asked, answers, strict=True)
            ]
        )
        for one, response, _ in answers:
            await self._call(partial(self._server.answer_challenge, one, response))
        for authorization in order.authorizations:
            await self._decided(authorization)
        await self._call(partial(self._server.begin_finalization, order))
        return Issued(Pair(await self._fetched(order), key))

    async def _call(self, call: Callable[[], Any]) -> Any:
        """One call to the server, in a thread."""
        import requests
        from acme.errors import Error

        try:
            return await asyncio.to_thread(call)
        except (Error, requests.RequestException, ValueError) as error:
            raise IssueError("OrderFailed", f"{self._config.server}: {error}") from error

    def _connect(self) -> None:
        """Read the directory, and open the account or find the one that the key has."""
        import josepy
        from acme.client import ClientNetwork, ClientV2
        from acme.errors import ConflictError
        from acme.messages import NewRegistration, Registration, RegistrationResource

        net = ClientNetwork(
            josepy.JWKEC.load(self._account), alg=josepy.ES256, user_agent="hearth", timeout=_CALL_S
        )
        if self._config.ca_bundle:
            trusted = self._folder / "ca.pem"
            trusted.write_text(self._config.ca_bundle)
            net.verify_ssl = str(trusted)  # goes to requests as it is
        self._server = ClientV2(ClientV2.get_directory(self._config.server, net), net)
        email = self._config.email or None
        try:
            wanted = NewRegistration.from_data(email=email, terms_of_service_agreed=True)
            self._server.new_account(wanted)
        except ConflictError as error:
            net.account = RegistrationResource(body=Registration(), uri=error.location)

    async def _decided(self, authorization: Any) -> None:
        while True:
            now, _ = await self._call(partial(self._server.poll, authorization))
            if _is_valid(now):
                return
            if now.body.status.name != "pending":
                faults = [str(one.error) for one in now.body.challenges if one.error]
                host, said = now.body.identifier.value, "; ".join(faults)
                said = said or f"authorization is {now.body.status.name}"
                raise IssueError("ChallengeFailed", f"{self._config.server}: {host}: {said}")
            await asyncio.sleep(_LOOK_S)

    async def _fetched(self, order: Any) -> bytes:
        from acme.errors import TimeoutError as NotYet

        def look() -> str | None:
            soon = datetime.now() + timedelta(seconds=_CALL_S)  # the library's own kind of time
            try:
                return str(self._server.poll_finalization(order, soon).fullchain_pem)
            except NotYet:
                return None

        while True:
            if found := await self._call(look):
                return str(found).encode()


def _request(key: bytes, hosts: list[str]) -> bytes:
    from acme.crypto_util import make_csr

    return bytes(make_csr(key, hosts))


def _is_valid(authorization: Any) -> bool:
    return bool(authorization.body.status.name == "valid")


def _asked(authorization: Any) -> tuple[str, Any]:
    """The host and the HTTP-01 challenge of an authorization."""
    host = str(authorization.body.identifier.value)
    for one in authorization.body.challenges:
        if one.chall.typ == "http-01":
            return host, one
    types = ", ".join(one.chall.typ for one in authorization.body.challenges)
    raise IssueError("OrderFailed", f"{host}: found challenges {types}, expected http-01")
