"""A process says that it is there: a Lease, renewed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from hearth.api.errors import AlreadyExists, ApiError, NotFound
from hearth.api.kinds import LEASE
from hearth.api.meta import Wire
from hearth.api.names import SYSTEM_NAMESPACE
from hearth.client import Client
from hearth.kit.clock import Clock
from hearth.kit.times import rfc3339_micro

log = logging.getLogger(__name__)

HEARTBEAT_S = 10.0
LEASE_S = 30  #: after so long without a renewal it is taken for dead


async def write_lease(
    client: Client,
    clock: Clock,
    name: str,
    *,
    holder: str,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    owners: Sequence[Wire] = (),
) -> None:
    """Renew the Lease, or make it; ``owners`` are references to whom it ends with.

    Raises:
        ApiError, ConnectionError: it was not written.
    """
    meta = {"labels": dict(labels), "annotations": dict(annotations)}
    spec = {
        "holderIdentity": holder,
        "leaseDurationSeconds": LEASE_S,
        "renewTime": rfc3339_micro(clock.now()),
    }
    try:
        patch = {"metadata": meta, "spec": spec}
        await client.patch(LEASE, SYSTEM_NAMESPACE, name, patch)
    except NotFound:
        own: Wire = {**meta, "name": name, "namespace": SYSTEM_NAMESPACE}
        if owners:
            own["ownerReferences"] = list(owners)
        try:
            await client.create(LEASE, {"metadata": own, "spec": spec})
        except AlreadyExists:
            return


async def keep_lease(
    client: Client, clock: Clock, name: str, *, holder: str, labels: Mapping[str, str]
) -> None:
    """Renew the Lease until cancelled."""
    while True:
        try:
            await write_lease(client, clock, name, holder=holder, labels=labels, annotations={})
            pause_s = HEARTBEAT_S
        except (ApiError, ConnectionError) as error:
            facts = {"lease": name, "because": str(error)}
            log.warning("lease not renewed", extra={"f": facts})
            pause_s = 1.0
        await asyncio.sleep(pause_s)
