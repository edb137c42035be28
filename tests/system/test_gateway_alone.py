"""Envoy as the gateway configures it, with the activator away, or dying."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from hearth.api.meta import ObjectKey
from hearth.gateway.bootstrap import make_bootstrap
from hearth.gateway.core.routing import Backend, Endpoints, Host, Routing, Weight
from hearth.gateway.envoy import Envoy, free_ports
from hearth.gateway.listeners import Addresses, make_listeners
from hearth.gateway.translate import (
    make_cluster,
    make_load_assignment,
    make_route_configuration,
    make_scopes,
)
from hearth.gateway.xds import CLUSTER, ENDPOINTS, ROUTES, SCOPES, Resources, serve_xds
from tests.system.edge import backend, play, until
from tests.system.running import ROOT

KEY = ObjectKey("root", "default", "a-00001")


class Alone:
    """Envoy with one service and nothing that holds its requests."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.resources = Resources()
        self.session: aiohttp.ClientSession

    async def program(self, *ports: int) -> None:
        """The service, with these instances."""
        cluster = Backend(KEY, http2=False, timeout_s=60, port=8080)
        host = Host("a", "a.default.localhost", (), (Weight(cluster, 100),))
        routing = Routing(ObjectKey("root", "default", "a"), (host,))
        endpoints = Endpoints(
            cluster.cluster, http2=False, addresses=tuple(("127.0.0.1", p) for p in ports)
        )
        wanted = {
            ENDPOINTS: {cluster.cluster: make_load_assignment(endpoints)},
            CLUSTER: {cluster.cluster: make_cluster(cluster, "mark")},
            ROUTES: {routing.name: make_route_configuration(routing, "mark")},
            SCOPES: make_scopes(routing),
        }
        for kind, messages in wanted.items():
            self.resources.put(kind, messages)
        for kind, messages in wanted.items():
            await self.resources.wait_acknowledged(kind, messages)

    async def get(self) -> tuple[int, str]:
        url, headers = f"http://127.0.0.1:{self.port}/", {"Host": "a.default.localhost"}
        async with self.session.get(url, headers=headers) as response:
            return response.status, await response.text()

    def start_activator(self) -> subprocess.Popen[bytes]:
        """One that names the instance in ``address``."""
        paths = [str(self.folder / name) for name in ("activator", "held", "address")]
        return subprocess.Popen(
            [sys.executable, "-m", "tests.system.activator_process", *paths], cwd=ROOT
        )

    def held(self) -> int:
        with contextlib.suppress(OSError):
            return int((self.folder / "held").read_text())
        return -1


@pytest.fixture
def alone(tmp_path):
    """Play a story."""

    def run(story):
        async def whole():
            port, *others = free_ports(*(("127.0.0.1", 0) for _ in range(4)))
            paths = {name: str(tmp_path / name) for name in ("xds", "activator", "admin")}
            addresses = Addresses(("127.0.0.1", port), *(("127.0.0.1", at) for at in others))
            listeners = tmp_path / "listeners.json"
            listeners.write_text(json.dumps(make_listeners(addresses)))
            config = make_bootstrap(
                name="g", addresses=addresses, listeners=str(listeners), mark="mark", **paths
            )
            world = Alone(tmp_path, port)
            xds = await serve_xds(
                world.resources, f"unix:{paths['xds']}", lambda report: None, interval_s=1.0
            )
            envoy = Envoy(config, tmp_path, 2, outlives=False)
            running = asyncio.create_task(envoy.run())
            try:
                await asyncio.wait_for(envoy.ready.wait(), 20)
                async with aiohttp.ClientSession() as world.session, backend("b1") as b1:
                    await story(world, b1)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                await xds.stop(0)

        play(whole)

    return run


def test_warm_requests_need_no_python_at_all(alone):
    async def story(world, b1):
        await world.program(b1.port)
        started = time.monotonic()
        seen = Counter(await asyncio.gather(*(world.get() for _ in range(300))))
        assert seen == {(200, "b1"): 300}
        assert time.monotonic() - started < 5
        assert not (world.folder / "activator").exists(), "nobody could have been asked"

    alone(story)


def test_an_activator_that_is_killed_loses_none_of_50_held_requests(alone):
    async def story(world, b1):
        await world.program()
        first = world.start_activator()
        try:
            await until(lambda: world.held() == 0, 20, "the activator listens")
            tasks = [asyncio.create_task(world.get()) for _ in range(50)]
            await until(lambda: world.held() == 50, 10, "50 are held")
        finally:
            first.kill()
            first.wait()
        (world.folder / "held").unlink()
        second = world.start_activator()
        try:
            await until(lambda: world.held() == 50, 20, "50 are held again")
            (world.folder / "address").write_text(b1.address)
            assert Counter(await asyncio.gather(*tasks)) == {(200, "b1"): 50}
            assert b1.requests == 50
        finally:
            second.kill()
            second.wait()

    alone(story)
