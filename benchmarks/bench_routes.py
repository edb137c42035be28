"""Claim: one more service reaches Envoy within 10 ms, whether there are 10 or 3,000 already.

The xDS server and a real Envoy, without the rest: clusters, endpoints, routes and scopes are sent
and acknowledged. Also what 1,000 services add to Envoy's memory.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.platform import descendants, memory_mib, spread_ms, title
from hearth.api.meta import ObjectKey
from hearth.gateway.bootstrap import make_bootstrap
from hearth.gateway.core.routing import Backend, Endpoints, Host, Routing, Weight
from hearth.gateway.envoy import Envoy, free_port
from hearth.gateway.listeners import Addresses, make_listeners
from hearth.gateway.translate import (
    make_cluster,
    make_load_assignment,
    make_route_configuration,
    make_scopes,
)
from hearth.gateway.xds import CLUSTER, ENDPOINTS, ROUTES, SCOPES, Resources, serve_xds

MORE = 20


def run() -> Iterator[dict[str, object]]:
    for services in (10, 1000, 3000):
        yield asyncio.run(_measure(services))


async def _measure(services: int) -> dict[str, object]:
    resources, port = Resources(), free_port("127.0.0.1", 0)
    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as folder:
        paths = {name: f"{folder}/{name}" for name in ("xds", "activator", "admin")}
        others = [("127.0.0.1", free_port("127.0.0.1", 0)) for _ in range(3)]
        addresses = Addresses(("127.0.0.1", port), *others)
        listeners = Path(folder) / "listeners.json"
        listeners.write_text(json.dumps(make_listeners(addresses)))
        config = make_bootstrap(
            name="bench", addresses=addresses, listeners=str(listeners), mark="mark", **paths
        )
        server = await serve_xds(resources, f"unix:{paths['xds']}", lambda report: None, 0.1)
        envoy = Envoy(config, Path(folder), 2, outlives=False)
        running = asyncio.create_task(envoy.run())
        await envoy.ready.wait()
        before = _envoy_mib()
        started = time.perf_counter()
        await _add(resources, range(services))
        load_s = time.perf_counter() - started
        grown = _envoy_mib() - before
        taken = []
        for number in range(services, services + MORE):
            started = time.perf_counter()
            await _add(resources, [number])
            taken.append(time.perf_counter() - started)
            await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.wait([running])
        await server.stop(0)
    return {
        "services": services,
        "load_s": round(load_s, 2),
        "envoy_grown_mib": round(grown, 1),
        **spread_ms(taken),
    }


def _envoy_mib() -> float:
    return sum(memory_mib(p, "Rss") for p in descendants(os.getpid()) if "envoy" in title(p))


def _routing(number: int) -> Routing:
    name, namespace = f"s{number}", "default"
    backend = Backend(ObjectKey("root", namespace, f"{name}-00001"), False, 300, 8080)
    short = f"{name}.{namespace}"
    inside = (f"{short}.svc.cluster.local", f"{short}.svc", short)
    host = Host(name, f"{short}.localhost", inside, (Weight(backend, 100),))
    return Routing(ObjectKey("root", namespace, name), (host,))


async def _add(resources: Resources, numbers: Iterable[int]) -> None:
    """As the gateway programs them: clusters first, then the routes."""
    routings = [_routing(number) for number in numbers]
    backends = [b for routing in routings for b in routing.backends]
    names = [b.cluster for b in backends]
    assignments = {n: make_load_assignment(Endpoints(n, False, ())) for n in names}
    resources.put(ENDPOINTS, assignments)
    resources.put(CLUSTER, {b.cluster: make_cluster(b) for b in backends})
    await resources.wait_acknowledged(CLUSTER, names)
    await resources.wait_acknowledged(ENDPOINTS, names)
    resources.put(ROUTES, {r.name: make_route_configuration(r, "mark") for r in routings})
    scopes = {name: scope for r in routings for name, scope in make_scopes(r).items()}
    resources.put(SCOPES, scopes)
    await resources.wait_acknowledged(SCOPES, scopes)
    await resources.wait_acknowledged(ROUTES, [r.name for r in routings])
