"""An activator in a process of its own, to be killed: ``python -m … SOCKET HELD ADDRESS``.

It writes how many requests it holds to HELD, and names the instance in ADDRESS once that exists.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from hearth.api.activation import Activation
from hearth.gateway.activator import Activator
from hearth.gateway.limits import Limits
from hearth.gateway.settings import GatewaySettings


class FromFile:
    """An autoscaler that answers once the file is there."""

    def __init__(self, path):
        self._path = path

    async def activate(self, request):
        while not self._path.exists():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)
        return Activation("p", self._path.read_text(), source="pool")

    async def report(self, report):
        raise NotImplementedError


async def main(socket, held, address):
    settings = GatewaySettings(name="g", state=socket.parent)
    limits = Limits(lambda key: [])
    activator = Activator(FromFile(address), lambda key: None, lambda key: 60.0, limits, settings)
    await activator.serve(socket)
    while True:
        held.with_suffix(".new").write_text(str(activator.held))
        held.with_suffix(".new").rename(held)
        await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(main(*map(Path, sys.argv[1:])))
