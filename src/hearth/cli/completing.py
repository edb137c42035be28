"""What the shell offers for a name: asked of the server, silently nothing when it cannot say."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from hearth.api.errors import ApiError
from hearth.api.kinds import REVISION, SERVICE, Kind
from hearth.api.meta import name_of
from hearth.cli.errors import Failure
from hearth.cli.session import Session, Target, run

_PATIENCE_S = 2.0  #: a shell must not hang


def service_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Services whose name begins like that."""
    return _names(ctx, SERVICE, incomplete)


def revision_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Revisions whose name begins like that."""
    return _names(ctx, REVISION, incomplete)


def _names(ctx: click.Context, kind: Kind, incomplete: str) -> list[str]:
    def given(name: str) -> str:
        return str(ctx.params.get(name) or "")

    kubeconfig = Path(given("kubeconfig")) if given("kubeconfig") else None
    target = Target(given("namespace"), "name", kubeconfig, given("context"))

    async def work(session: Session) -> list[str]:
        async with asyncio.timeout(_PATIENCE_S):
            found = await session.client.list(kind, session.namespace)
        return [name for item in found.items if (name := name_of(item)).startswith(incomplete)]

    try:
        with ctx.scope(cleanup=False):
            return run(target, work)
    except (ApiError, ConnectionError, Failure, TimeoutError):
        return []
