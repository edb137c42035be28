"""How the reconcilers write: create what is missing, change what differs, status last."""

from __future__ import annotations

from typing import Protocol

from hearth.api.errors import AlreadyExists
from hearth.api.kinds import Kind
from hearth.api.meta import (
    ObjectKey,
    Wire,
    name_of,
    namespace_of,
    resource_version_of,
    status_of,
    uid_of,
)
from hearth.client import Client
from hearth.runtime import Informer


class Events(Protocol):
    """Where a reconciler notes what it did, for ``kubectl describe``."""

    def record(self, about: Wire, kind: str, reason: str, message: str) -> None:
        """Note a ``Normal`` or ``Warning`` event on the object."""
        ...


async def create_or_get(client: Client, kind: Kind, desired: Wire) -> tuple[Wire, bool]:
    """Create the object, or read the one that is there though no cache showed it yet.

    Returns:
        The object, and whether it was created.
    """
    try:
        return await client.create(kind, desired), True
    except AlreadyExists:
        return await client.get(kind, namespace_of(desired), name_of(desired)), False


class Newest:
    """One kind's cache, ahead of its informer by what the reconcilers wrote themselves.

    Without it the reconcile that follows a write at once would start from what was there before,
    and end in a conflict.
    """

    def __init__(self, client: Client, informer: Informer) -> None:
        """Read from ``informer``, write with ``client``."""
        self._client = client
        self._informer = informer
        self._written: dict[ObjectKey, Wire] = {}  # until the informer has caught up

    def get(self, key: ObjectKey) -> Wire | None:
        """The newest state known, or None if the informer has no such object."""
        cached, written = self._informer.get(key), self._written.get(key)
        if written is None:
            return cached
        if cached is not None and uid_of(cached) == uid_of(written) and _is_newer(written, cached):
            return written
        del self._written[key]
        return cached

    async def write_status(self, key: ObjectKey, wire: Wire, status: Wire) -> Wire:
        """Write the status if it is not what ``wire`` has; returns the newest state known.

        Raises:
            Conflict: ``wire`` is not the newest state; reconcile again.
        """
        if status == status_of(wire):
            return wire
        return await self.update(key, {**wire, "status": status}, "status")

    async def update(self, key: ObjectKey, wire: Wire, subresource: str = "") -> Wire:
        """Replace the object; returns its newest state.

        Raises:
            Conflict: ``wire`` was not made from the newest state; reconcile again.
        """
        written = await self._client.update(self._informer.kind, wire, subresource)
        self._written[key] = written
        return written


def _is_newer(one: Wire, other: Wire) -> bool:
    return int(resource_version_of(one)) > int(resource_version_of(other))
