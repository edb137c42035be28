"""What an issuer of certificates is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hearth.api.meta import Wire
from hearth.kit.x509 import Pair

#: Puts challenges into the Certificate's status, and returns once the gateways answer them.
Publish = Callable[[Sequence[Wire]], Awaitable[None]]


class IssueError(Exception):
    """A certificate cannot be had now."""

    def __init__(self, reason: str, message: str) -> None:
        """For the condition: ``reason`` in one word, ``message`` says what was found."""
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its key."""

    pair: Pair
    authority: bytes = b""  #: the certificate to trust; empty if it is one that all know


class Issuer(Protocol):
    """Whoever issues certificates of one class."""

    async def issue(self, certificate: Wire, hosts: list[str], publish: Publish) -> Issued:
        """A certificate for the hosts.

        Raises:
            IssueError: it cannot be had now.
        """
        ...
