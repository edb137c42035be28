"""An API server over a store in memory, at a time that stands still unless it is moved."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from hearth.api.kinds import NAMESPACE
from hearth.apiserver.auth import USERS, Authenticator, User
from hearth.apiserver.gc import GarbageCollector
from hearth.apiserver.logs import NodeLogs
from hearth.apiserver.objects import Objects
from hearth.apiserver.packages import Packages
from hearth.apiserver.server import ApiServer
from hearth.apiserver.tokens import Tokens
from hearth.client import Client
from hearth.store import open_store


class FixedClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic_s(self) -> float:
        return self.at.timestamp()

    def now(self) -> datetime:
        return self.at

    def forward(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class Api:
    """One server and a client of it."""

    folder: Path
    clock: FixedClock = field(default_factory=FixedClock)
    store: Any = field(default_factory=lambda: open_store(None))

    def __post_init__(self) -> None:
        self.objects = Objects(self.store, self.clock)
        users = {name: user for name, user in USERS.items()}
        users["nobody"] = User("nobody", frozenset())
        tokens = Tokens(ec.generate_private_key(ec.SECP256R1()), self.store)
        self.server = ApiServer(
            self.objects,
            Authenticator(users, tokens),
            Packages(self.folder),
            NodeLogs(self.store),
            tokens,
            self.clock,
        )
        self.client = Client(self.server, token="admin", field_manager="test")
        self.collector = GarbageCollector(self.objects, self.clock)

    def client_as(self, token: str, **options: Any) -> Client:
        return Client(self.server, token=token, field_manager="test", **options)

    async def settle(self) -> None:
        """Let the collector catch up with the store (in memory: nothing waits for a disk)."""
        seen = -1
        while seen != self.store.revision:
            seen = self.store.revision
            for _ in range(50):
                await asyncio.sleep(0)


def run(folder: Path, story: Callable[[Api], Awaitable[Any]], *, collect: bool = False) -> Any:
    """Run a story against a fresh server that has the namespaces default and hearth-system."""

    async def whole() -> Any:
        api = Api(folder)
        for name in ("default", "hearth-system"):
            await api.client.create(NAMESPACE, {"metadata": {"name": name}})
        if not collect:
            return await story(api)
        collecting = asyncio.create_task(api.collector.run())
        try:
            await api.settle()
            return await story(api)
        finally:
            collecting.cancel()

    return asyncio.run(whole())


__all__ = ["Api", "FixedClock", "run"]
