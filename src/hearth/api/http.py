"""One request to the API and its answer, whichever way they travel.

In one process the client hands a :class:`Request` straight to the server's handler; elsewhere it
goes over HTTPS. Neither side can tell.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the API sees it."""

    method: str  #: upper case
    path: str  #: decoded, starts with ``/``, e.g. ``/clusters/root/api/v1/pods``
    query: Mapping[str, str] = field(default_factory=dict)  #: a repeated name keeps its last value
    headers: Mapping[str, str] = field(default_factory=dict)  #: names in lower case
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None  #: a package on its way in; ``body`` is empty


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: either the whole body, or a stream of chunks (watch, log, package)."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)  #: names in lower case
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None  #: when set, ``body`` is empty
    #: Set when the connection changes its protocol: called with it, in the terms of whatever
    #: carries it (aiohttp's request). A caller in the same process has no connection, and cannot.
    take_over: Callable[[Any], Awaitable[Any]] | None = None


class Handler(Protocol):
    """Whoever can answer a request: the API server itself, or an HTTP connection to one."""

    async def __call__(self, request: Request) -> Response:
        """Answer; an API error is a Response with a Status body, never an exception.

        Raises:
            ConnectionError: the other side could not be reached, or broke off.
        """
        ...
