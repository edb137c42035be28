"""How the reconcilers write: create what is missing, change what differs, status last."""

from __future__ import annotations

from typing import Protocol

from hearth.api.errors import AlreadyExists
from hearth.api.kinds import Kind
from hearth.api.meta import Wire, name_of, namespace_of, status_of
from hearth.client import Client


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


async def write_status(client: Client, kind: Kind, wire: Wire, status: Wire) -> Wire:
    """Write the status if it is not what ``wire`` has; returns the newest state known.

    Raises:
        Conflict: ``wire`` is not the newest state; reconcile again.
    """
    if status == status_of(wire):
        return wire
    return await client.update(kind, {**wire, "status": status}, "status")
