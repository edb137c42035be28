"""Tells who may know what the node's pods use: ``GET /metrics/pods``."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable

import msgspec
from aiohttp import web

from hearth.api.meta import Wire, name_of, namespace_of, spec_of, uid_of
from hearth.api.pods import user_container
from hearth.node.usage import Rates

#: The running pods, each with its cgroups and its first process.
Running = Callable[[], Iterable[tuple[Wire, list[str], int]]]


class MetricsServer:
    """Answers for one node."""

    def __init__(self, running: Running, token: str) -> None:
        """Tell of what is ``running`` to who knows the token."""
        self._running = running
        self._token = token
        self._rates = Rates()

    async def answer(self, request: web.Request) -> web.Response:
        """``{"pods": [{"namespace", "name", "container", "cpus", "memoryBytes", "windowS"}]}``."""
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(errors="replace"), self._token.encode()):
            return web.Response(status=401, text="unauthorized")
        running = {uid_of(pod): (pod, cgroups, pid) for pod, cgroups, pid in self._running()}
        rates = await self._rates.of({uid: each[1:] for uid, each in running.items()})
        told = [
            {
                "namespace": namespace_of(running[uid][0]),
                "name": name_of(running[uid][0]),
                "container": user_container(spec_of(running[uid][0])).get("name"),
                "cpus": rate.cpus,
                "memoryBytes": rate.memory_bytes,
                "windowS": rate.window_s,
            }
            for uid, rate in rates.items()
        ]
        return web.Response(
            body=msgspec.json.encode({"pods": told}), content_type="application/json"
        )
