"""What a command works with: a connection to the API, a namespace and a way to print.

``run(target, work)`` opens it. Tests hand their own :data:`Connect` to click as ``obj``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import click

from hearth.cli.errors import Exit, Failure
from hearth.cli.locate import find_kubeconfig

if TYPE_CHECKING:
    from hearth.client import Client

T = TypeVar("T")
FIELD_MANAGER = "hearth"


@dataclass(frozen=True, slots=True)
class Target:
    """What the options that all commands share say."""

    namespace: str = ""  #: empty: the kubeconfig's
    output: str = "table"
    kubeconfig: Path | None = None
    context: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """An open connection."""

    client: Client
    namespace: str
    server: str  #: its URL, for messages


Connect: TypeAlias = Callable[[Target], AbstractAsyncContextManager[Session]]


@asynccontextmanager
async def connect_over_https(target: Target) -> AsyncIterator[Session]:
    """Connect to the server that a kubeconfig names.

    Raises:
        Failure: none is known, or the kubeconfig does not name one.
    """
    from hearth.cli.https import HttpsHandler
    from hearth.client import Client
    from hearth.client.kubeconfig import KubeconfigError, load_kubeconfig

    try:
        path = find_kubeconfig(target.kubeconfig, os.environ)
        server = load_kubeconfig(path, target.context)
    except (KubeconfigError, OSError) as error:
        raise Failure(str(error), Exit.UNREACHABLE) from error
    client = Client(HttpsHandler(server), field_manager=FIELD_MANAGER, tenant_in_path=False)
    yield Session(client, target.namespace or server.namespace, server.url + server.prefix)


def run(target: Target, work: Callable[[Session], Awaitable[T]]) -> T:
    """Connect, do the work, and return what it returns."""
    connect: Connect = click.get_current_context().obj or connect_over_https

    async def story() -> T:
        async with connect(target) as session:
            return await work(session)

    return asyncio.run(story())
