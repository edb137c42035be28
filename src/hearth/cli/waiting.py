"""Waits for Services: until they are ready, or gone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from hearth.api.errors import ApiError, Gone, NotFound
from hearth.api.kinds import SERVICE
from hearth.api.meta import Wire, name_of, resource_version_of
from hearth.cli.core.readiness import Phase, news, outlook_of
from hearth.cli.errors import Exit, Failure
from hearth.cli.progress import Progress
from hearth.cli.session import Session

#: A Service may be not ready for a moment while its parts catch up; kn waits 2 s.
FAILURE_SETTLES_S = 1.0
_RETRY_S = 0.5  #: between two tries to reach a server that went away


async def wait_until_ready(
    session: Session, service: Wire, progress: Progress, timeout_s: float
) -> Wire:
    """The Service once it is ready as it was just written.

    Raises:
        Failure: it failed, or is not ready in time; the message says why.
    """
    seen, name, loop = service, name_of(service), asyncio.get_running_loop()
    deadline_s = loop.time() + timeout_s
    try:
        async with (
            asyncio.timeout_at(deadline_s) as patience,
            progress.ticking(),
            contextlib.aclosing(follow(session, service)) as states,
        ):
            async for wire in states:
                for line in news(seen, wire):
                    progress.waiting(line)
                seen, phase = wire, outlook_of(wire).phase
                if phase is Phase.READY:
                    return wire
                settles_s = loop.time() + FAILURE_SETTLES_S
                patience.reschedule(
                    min(settles_s, deadline_s) if phase is Phase.FAILED else deadline_s
                )
    except TimeoutError:
        outlook = outlook_of(seen)
        how = "failed" if outlook.phase is Phase.FAILED else f"not ready within {timeout_s:g} s"
        raise Failure(f"service {name}: {how}: {outlook}", Exit.NOT_READY) from None
    raise Failure(f"service {name}: was deleted while it was waited for", Exit.NOT_READY)


async def wait_until_gone(session: Session, service: Wire, timeout_s: float) -> None:
    """Wait until the Service is deleted.

    Raises:
        Failure: it is still there.
    """
    try:
        async with (
            asyncio.timeout(timeout_s),
            contextlib.aclosing(follow(session, service)) as states,
        ):
            async for _ in states:
                pass
    except TimeoutError:
        said = f"service {name_of(service)}: still there after {timeout_s:g} s"
        raise Failure(f"{said}, its finalizers hold it", Exit.NOT_READY) from None


async def follow(session: Session, service: Wire) -> AsyncGenerator[Wire, None]:
    """The states of the Service from ``service`` on, until it is deleted."""
    name, wire = name_of(service), service
    yield wire
    while True:
        try:
            watch = session.client.watch(
                SERVICE,
                session.namespace,
                resource_version=resource_version_of(wire),
                field_selector=f"metadata.name={name}",
            )
            async with contextlib.aclosing(watch) as events:
                async for event in events:
                    if event.type == "DELETED":
                        return
                    if event.type != "BOOKMARK":
                        wire = event.object
                        yield wire
        except (ConnectionError, Gone):
            await asyncio.sleep(_RETRY_S)
        try:
            wire = await session.client.get(SERVICE, session.namespace, name)
        except NotFound:
            return
        except (ApiError, ConnectionError):
            await asyncio.sleep(_RETRY_S)
            continue
        yield wire
