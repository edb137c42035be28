"""A shard's autoscaler in another process, over HTTPS."""

from __future__ import annotations

import ssl

import aiohttp
import msgspec

from hearth.api.activation import (
    ActivateRequest,
    Activation,
    ActivationError,
    ActivationFailure,
    StatReport,
)
from hearth.api.names import DEFAULT_SHARD

_CONNECT_TIMEOUT_S = 10.0  #: three round trips: it may be on another continent
_REPORT_TIMEOUT_S = 15.0


class AutoscalerClient:
    """An :class:`hearth.api.activation.Autoscaler`; close it at the end."""

    def __init__(self, template: str, token: str, authority: str) -> None:
        """Prepare to speak to a shard's autoscaler.

        Args:
            template: its URL; ``{shard}`` stands for the shard's name.
            token: of Secret ``internal``.
            authority: PEM of the CA that signed its certificate.
        """
        self._url = template.format(shard=DEFAULT_SHARD).rstrip("/")
        context = ssl.create_default_context(cadata=authority)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=0, keepalive_timeout=60),
            headers={"authorization": f"Bearer {token}"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT_S),
        )

    async def activate(self, request: ActivateRequest) -> Activation:
        """See :meth:`hearth.api.activation.Autoscaler.activate`."""
        status, body = await self._post("/v1/activate", request, None)
        try:
            if status == 200:
                return msgspec.json.decode(body, type=Activation)
            failure = msgspec.json.decode(body, type=ActivationFailure)
        except msgspec.DecodeError as error:
            raise ConnectionError(f"autoscaler {self._url}: answered {status}") from error
        raise ActivationError(failure)

    async def report(self, report: StatReport) -> None:
        """See :meth:`hearth.api.activation.Autoscaler.report`."""
        await self._post("/v1/stats", report, _REPORT_TIMEOUT_S)

    async def _post(
        self, path: str, message: msgspec.Struct, timeout_s: float | None
    ) -> tuple[int, bytes]:
        try:
            async with self._session.post(
                self._url + path,
                data=msgspec.json.encode(message),
                timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=_CONNECT_TIMEOUT_S),
            ) as response:
                return response.status, await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ConnectionError(f"autoscaler {self._url}: {error}") from error

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
