"""Sends requests to an API server over HTTPS."""

from __future__ import annotations

import io
import ssl
from collections.abc import AsyncIterator
from types import TracebackType

import aiohttp
from yarl import URL

from hearth.api.http import Request, Response
from hearth.client.kubeconfig import Server, TokenFile

#: Larger than any object; a watch event of one line must fit.
_READ_BUFFER_BYTES = 4 * 2**20
_PIECE_BYTES = 2**20  #: above this aiohttp warns of a body in one piece


class HttpHandler:
    """A :class:`~hearth.api.http.Handler` over one pool of connections; close it at the end."""

    def __init__(
        self, url: str, *, ssl_context: ssl.SSLContext | None, token: str | TokenFile = ""
    ) -> None:
        """Prepare to speak to ``url``; nothing is sent yet."""
        self._url = url
        self._token = token
        connector = aiohttp.TCPConnector(
            ssl=ssl_context if ssl_context is not None else False, limit=0, keepalive_timeout=60
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            auto_decompress=True,
            read_bufsize=_READ_BUFFER_BYTES,
        )

    @classmethod
    def to(cls, server: Server) -> HttpHandler:
        """A handler for a kubeconfig's server; the URL's path becomes every request's prefix."""
        return cls(server.url + server.prefix, ssl_context=server.ssl, token=server.token)

    async def __call__(self, request: Request) -> Response:
        """Send the request; streams are handed on as they come.

        Raises:
            ConnectionError: the server could not be reached, or broke off.
        """
        url = URL(self._url + request.path).with_query(dict(request.query))
        token = str(self._token)
        own = {"authorization": f"Bearer {token}"} if token else {}
        headers = {**own, **request.headers}
        try:
            response = await self._session.request(
                request.method, url, headers=headers, data=_payload(request)
            )
            found = {name.lower(): value for name, value in response.headers.items()}
            if _is_stream(request):
                return Response(response.status, found, stream=_chunks(response))
            return Response(response.status, found, await response.read())
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ConnectionError(f"{request.method} {url.origin()}: {error}") from error

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def __aenter__(self) -> HttpHandler:
        """Use as a context manager to close it at the end."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all connections."""
        await self.close()


def _payload(request: Request) -> bytes | io.BytesIO | AsyncIterator[bytes] | None:
    """The body; a large one as a file, which is sent in pieces instead of all at once."""
    if request.stream is not None:
        return request.stream
    if len(request.body) > _PIECE_BYTES:
        return io.BytesIO(request.body)
    return request.body or None


def _is_stream(request: Request) -> bool:
    return request.query.get("watch") == "true" or request.query.get("follow") == "true"


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise ConnectionError(f"stream from {response.url.origin()}: {error}") from error
    finally:
        response.close()
