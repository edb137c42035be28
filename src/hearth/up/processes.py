"""The entry points: settings → parts → run."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")  # before gRPC is imported, below

from hearth.api.errors import ApiError
from hearth.api.kinds import POD, POD_POOL
from hearth.api.names import PODPOOL_LABEL, SYSTEM_NAMESPACE
from hearth.api.pods import is_ready
from hearth.apiserver import RunningApiServer, open_apiserver
from hearth.apiserver.open import prepare_state
from hearth.apiserver.serve import ListenError
from hearth.client import Client
from hearth.client.kubeconfig import KubeconfigError
from hearth.gateway import AutoscalerClient
from hearth.gateway.envoy import GatewayError
from hearth.kit.files import write_private
from hearth.kit.logs import log_to_stderr
from hearth.kit.tasks import Part, run_until
from hearth.node.cgroups import CgroupsUnavailable
from hearth.node.network import NetworkUnavailable
from hearth.runtime import Informers
from hearth.runtime.internal import internal_server_context
from hearth.store import StoreUnavailable
from hearth.up.connecting import WrongSubstrateError, acquainted, connected, narrowed
from hearth.up.parts import (
    make_admission,
    make_autoscaler_server,
    make_controller,
    make_gateway,
    make_metrics,
    make_node,
    shard_selector,
)
from hearth.up.settings import Settings

_FAULTS = (
    StoreUnavailable, ListenError, GatewayError, KubeconfigError, CgroupsUnavailable,
    NetworkUnavailable, ConnectionError, WrongSubstrateError, ApiError,
)  # fmt: skip
_WARM_TIMEOUT_S = 20.0  #: "ready" does not wait longer for the first warm pod


class StartError(Exception):
    """The process cannot start or go on; the message says why."""


def run_up(settings: Settings) -> None:
    """Everything in one process, until SIGINT or SIGTERM."""
    _run(settings, "hearth up", _up(settings))


def run_apiserver(settings: Settings) -> None:
    """The API server alone."""
    _run(settings, "hearth apiserver", _apiserver(settings))


def run_controller(settings: Settings, kubeconfig: Path | None) -> None:
    """A shard's controller alone; without a kubeconfig, on the cluster that we are a pod of."""
    _run(settings, "hearth controller", _controller(settings, kubeconfig))


def run_gateway(settings: Settings, kubeconfig: Path | None) -> None:
    """A gateway alone; without a kubeconfig, on the cluster that we are a pod of."""
    _run(settings, "hearth gateway", _gateway(settings, kubeconfig))


def run_node(settings: Settings, kubeconfig: Path) -> None:
    """A node agent alone."""
    _run(settings, "hearth node", _node(settings, kubeconfig))


def _run(settings: Settings, title: str, process: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(ImportError):
        from setproctitle import setproctitle

        setproctitle(title)
    log_to_stderr(settings.log_level)
    try:
        uvloop.run(process)
    except BaseExceptionGroup as group:
        if (fault := _first_fault(group)) is None:
            raise
        raise StartError(str(fault)) from group
    except _FAULTS as error:
        raise StartError(str(error)) from error


def _first_fault(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            if (found := _first_fault(error)) is not None:
                return found
        elif isinstance(error, _FAULTS):
            return error
    return None


# One process


async def _up(settings: Settings) -> None:
    state = Path(settings.state)
    stop = _stop_on_signals()
    async with open_apiserver(state, settings.api_host, settings.api_port) as server:
        client = Client(
            server.handler, token=server.tokens["hearth:controller"], field_manager="hearth"
        )
        node_client = Client(
            server.handler, token=server.tokens["hearth:node"], field_manager="hearth-node"
        )
        informers = Informers(client, label_selector=shard_selector(settings.shard))
        gateway_proxy = _Later()
        gateway = make_gateway(client, informers, gateway_proxy, settings, outlives=False)
        controller = make_controller(
            client, informers, settings, gateway.http_port, gateway.https_port
        )
        gateway_proxy.autoscaler = controller.autoscaler
        agent, node_events = make_node(node_client, informers, settings, alone=False)
        await controller.pool.make_default(settings.pool)
        parts = [
            *server.parts,
            Part("informers", informers.run),
            node_events,
            *agent.parts(),
            *controller.parts,
            *gateway.parts(),
        ]
        sources = (
            each.metrics for each in (controller.autoscaler, controller.pool, gateway, agent)
        )
        metrics, metrics_url = make_metrics("up", settings, *sources)
        parts.append(metrics)

        async def announce() -> None:
            await gateway.ready.wait()
            await agent.ready.wait()
            await _first_warm_pod(client)
            url = f"http://{_called(settings.http_host)}:{gateway.http_port}"
            _announce(state, url, server, metrics_url)

        await _run_parts(stop, parts, announce, state)


class _Later:
    """Stands for the autoscaler while the parts that need each other are made."""

    autoscaler: Any = None

    async def activate(self, request: Any) -> Any:
        """As the autoscaler."""
        return await self.autoscaler.activate(request)

    async def report(self, report: Any) -> None:
        """As the autoscaler."""
        await self.autoscaler.report(report)


def _called(host: str) -> str:
    """By what a user on this machine calls the address."""
    return "localhost" if host in ("127.0.0.1", "0.0.0.0", "::1", "::") else host


async def _first_warm_pod(client: Client) -> None:
    """Wait for a warm pod, if any pool wants one."""
    deadline = asyncio.get_running_loop().time() + _WARM_TIMEOUT_S
    while asyncio.get_running_loop().time() < deadline:
        pods = (await client.list(POD, SYSTEM_NAMESPACE, label_selector=PODPOOL_LABEL)).items
        if any(map(is_ready, pods)) or not await _is_pool_wanted(client):
            return
        await asyncio.sleep(0.02)


async def _is_pool_wanted(client: Client) -> bool:
    pools = (await client.list(POD_POOL, SYSTEM_NAMESPACE)).items
    return any((pool.get("spec") or {}).get("replicas") for pool in pools)


def _announce(state: Path, gateway: str, server: RunningApiServer, metrics: str) -> None:
    """Say where everything is: on stdout for people, in ready.json for programs."""
    ready = {
        "gateway": gateway,
        "api": server.url,
        "kubeconfig": str(server.kubeconfig.resolve()),
        "metrics": metrics,
        "pid": os.getpid(),
    }
    write_private(state / "ready.json", json.dumps(ready).encode())
    _remember(state)
    lines = (
        f"gateway     {gateway}",
        f"api         {server.url}",
        f"kubeconfig  {ready['kubeconfig']}",
        f"metrics     {metrics}",
    )
    print("hearth is up", *lines, sep="\n", flush=True)


def _remember(state: Path) -> None:
    """Note this state as the user's last, where the other commands look for it."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    home = Path(base) / "hearth"
    with contextlib.suppress(OSError):
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (home / "last").write_text(f"{state.resolve()}\n")


async def _run_parts(
    stop: asyncio.Event,
    parts: list[Part],
    announce: Callable[[], Awaitable[None]] | None,
    state: Path,
) -> None:
    async def ready() -> None:
        if announce is not None:
            await announce()
        gc.collect()
        gc.freeze()  # what start-up made stays: it need not be looked at again
        await asyncio.Event().wait()

    try:
        await run_until(stop, *parts, Part("ready", ready))
    finally:
        (state / "ready.json").unlink(missing_ok=True)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


# Four processes


async def _apiserver(settings: Settings) -> None:
    state = Path(settings.state)
    stop = _stop_on_signals()
    async with open_apiserver(state, settings.api_host, settings.api_port) as server:
        metrics, url = make_metrics("apiserver", settings)
        print(f"metrics     {url}", flush=True)
        print(f"api         {server.url}\nkubeconfig  {server.kubeconfig}", flush=True)
        await run_until(stop, *server.parts, metrics)


async def _controller(settings: Settings, kubeconfig: Path | None) -> None:
    stop = _stop_on_signals()
    async with connected(settings, kubeconfig, "hearth") as client:
        selector = shard_selector(settings.shard)
        informers = Informers(client, label_selector=selector, narrowed=narrowed(settings))
        controller = make_controller(
            client, informers, settings, settings.http_port, settings.https_port
        )
        own = [Part("informers", informers.run), *controller.parts]
        if settings.substrate == "kubernetes":
            authority, admission = await make_admission(client, informers, settings)
            context, own = authority.context, [*admission, *own]
        else:
            context = await internal_server_context(client)
        await controller.pool.make_default(settings.pool)
        autoscaler = controller.autoscaler
        server, port = await make_autoscaler_server(client, autoscaler, settings, context)
        metrics, url = make_metrics(
            "controller", settings, autoscaler.metrics, controller.pool.metrics
        )
        print(f"metrics     {url}", flush=True)
        print(f"autoscaler  https://{settings.autoscaler_host}:{port}", flush=True)
        await run_until(stop, *own, server, metrics)


async def _gateway(settings: Settings, kubeconfig: Path | None) -> None:
    stop = _stop_on_signals()
    prepare_state(Path(settings.state))
    async with connected(settings, kubeconfig, "hearth-gateway") as client:
        token, authority = await acquainted(client)
        autoscaler = AutoscalerClient(settings.autoscaler, token, authority)
        informers = Informers(client)
        gateway = make_gateway(client, informers, autoscaler, settings, outlives=True)
        metrics, metrics_url = make_metrics("gateway", settings, gateway.metrics)

        async def announce() -> None:
            await gateway.ready.wait()
            url = f"http://{_called(settings.http_host)}:{gateway.http_port}"
            print(f"metrics     {metrics_url}", flush=True)
            print(f"gateway     {url}", flush=True)
            await asyncio.Event().wait()

        ready = Part("ready", announce)
        parts = (Part("informers", informers.run), *gateway.parts(), metrics, ready)
        try:
            await run_until(stop, *parts)
        finally:
            await autoscaler.close()


async def _node(settings: Settings, kubeconfig: Path) -> None:
    stop = _stop_on_signals()
    prepare_state(Path(settings.state))
    async with connected(settings, kubeconfig, "hearth-node") as client:
        informers = Informers(client)
        agent, events = make_node(client, informers, settings, alone=True)
        metrics, metrics_url = make_metrics("node", settings, agent.metrics)

        async def announce() -> None:
            await agent.ready.wait()
            print(f"metrics     {metrics_url}", flush=True)
            print("node        ready", flush=True)
            await asyncio.Event().wait()

        ready = Part("ready", announce)
        parts = (Part("informers", informers.run), events, *agent.parts(), metrics, ready)
        await run_until(stop, *parts)
