"""Builds each process's parts from its settings and a client."""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hearth.admission import Authority, FollowedConfig, serve_webhooks
from hearth.api.activation import Autoscaler
from hearth.api.inside import Terminator
from hearth.api.names import (
    CLUSTER_DOMAIN,
    CONTROLLER_LABEL,
    DEFAULT_SHARD,
    INSIDE_SERVICE,
    SHARD_LABEL,
    SYSTEM_NAMESPACE,
)
from hearth.apiserver.serve import ListenError, listen
from hearth.autoscaler import ShardAutoscaler, serve_autoscaler
from hearth.capacity import NodeWatch, Placement
from hearth.client import Client
from hearth.controllers import controllers
from hearth.gateway import Gateway, GatewaySettings
from hearth.gateway.envoy import GatewayError, earlier_envoy, free_ports
from hearth.kit.clock import SystemClock
from hearth.kit.metrics import Source, serve_metrics
from hearth.kit.tasks import Part
from hearth.node import NodeAgent, NodeSettings
from hearth.node.core.capacity import parse_resources
from hearth.node.network import planned_gateway
from hearth.pool import Pool
from hearth.runtime import EventRecorder, Informers
from hearth.runtime.heartbeat import keep_lease
from hearth.runtime.internal import internal_secret
from hearth.up.settings import Settings

#: Where each process serves its figures unless told otherwise: OpenTelemetry's port, and the next.
METRICS_PORTS = {"up": 9464, "apiserver": 9464, "controller": 9465, "gateway": 9466, "node": 9467}
HTTP_PORT, HTTPS_PORT = 80, 443  #: of services, for pods


def shard_selector(shard: str) -> str:
    """The label selector of a shard's objects; the default shard has all that name none other."""
    return "" if shard == DEFAULT_SHARD else f"{SHARD_LABEL}={shard}"


def node_name(settings: Settings) -> str:
    """The node's name: as told, else the host's."""
    return settings.node_name or socket.gethostname().lower()


@dataclass(frozen=True, slots=True)
class ControllerParts:
    """A shard's controller."""

    pool: Pool
    autoscaler: ShardAutoscaler
    parts: list[Part]


def make_controller(
    client: Client, informers: Informers, settings: Settings, http_port: int, https_port: int
) -> ControllerParts:
    """Serving controllers, pool, autoscaler and placement.

    Args:
        client: writes as the controller.
        informers: of the process.
        settings: of the process.
        http_port: the gateway's, for the URLs of services.
        https_port: likewise, of those with a certificate.
    """
    clock = SystemClock()
    events = EventRecorder(client, "hearth-controller", clock)
    kubelets = settings.substrate == "kubernetes"
    serving = controllers(
        client,
        informers,
        domain=settings.domain,
        port=http_port,
        https_port=https_port,
        inside=f"{INSIDE_SERVICE}.{SYSTEM_NAMESPACE}.{CLUSTER_DOMAIN}" if kubelets else "",
        events=events,
        clock=clock,
    )
    pool = Pool(client, informers, clock, events, kubelets=kubelets)
    autoscaler = ShardAutoscaler(client, informers, pool, clock, events)
    pool.follow_load(autoscaler.busy)

    async def say_so() -> None:
        name = f"controller-{settings.shard}"
        labels = {CONTROLLER_LABEL: settings.shard}
        await keep_lease(client, clock, name, holder=socket.gethostname(), labels=labels)

    parts = [
        Part("controller lease", say_so),
        Part("controller events", events.run),
        *serving,
        *pool.parts(),
        *autoscaler.parts(),
    ]
    if not kubelets:  # a cluster places pods itself, and finds nodes that fell silent
        parts += Placement(client, informers, clock, events).parts()
        parts += NodeWatch(client, informers, clock).parts()
    return ControllerParts(pool, autoscaler, parts)


async def make_admission(
    client: Client, informers: Informers, settings: Settings
) -> tuple[Authority, list[Part]]:
    """The certificate of this process on a cluster, and the webhooks that it serves."""
    authority = Authority(client, SystemClock())
    await authority.open()
    sock = listen(settings.webhook_host, settings.webhook_port)
    config = FollowedConfig(informers)

    async def serve() -> None:
        await serve_webhooks(sock, authority.context, config)

    return authority, [Part("webhooks", serve), Part("internal certificate", authority.run)]


def make_gateway(
    client: Client,
    informers: Informers,
    autoscaler: Autoscaler,
    settings: Settings,
    *,
    outlives: bool,
) -> Gateway:
    """Envoy and its companion; the port is taken here.

    Args:
        client: writes as the gateway.
        informers: of the process.
        autoscaler: the shard's.
        settings: of the process.
        outlives: Envoy goes on when this process dies.
    """
    inside_host, inside_port, inside_https_port = _inside(settings)
    own = GatewaySettings(
        name=node_name(settings),
        state=_gateway_state(settings),
        host=settings.http_host,
        port=settings.http_port,
        https_port=settings.https_port,
        inside_host=inside_host,
        inside_port=inside_port,
        inside_https_port=inside_https_port,
        workers=settings.envoy_workers or os.cpu_count() or 1,
        outlives=outlives,
        announced=settings.substrate == "hearth",
        pod_uid=settings.pod_uid,
    )
    return Gateway(client, informers, autoscaler, own, SystemClock())


def _gateway_state(settings: Settings) -> Path:
    return Path(settings.state) / "gateway"


def _inside(settings: Settings) -> tuple[str, int, int]:
    """Where requests from inside arrive: ports 80 and 443 of this node's address among its pods.

    Where that cannot be, as without root, pods do not reach services by their names.
    """
    plain, tls = settings.inside_port, settings.inside_https_port
    if settings.inside_host:
        return settings.inside_host, plain, tls
    state = Path(settings.state) / "node"
    if host := planned_gateway(settings.netns, str(state.resolve())):
        addresses = (host, plain or HTTP_PORT), (host, tls or HTTPS_PORT)
        earlier = earlier_envoy(_gateway_state(settings))
        if earlier is not None and earlier.listens(*addresses):
            return host, addresses[0][1], addresses[1][1]
        with suppress(GatewayError):
            http, https = free_ports(*addresses)
            return host, http, https
    return "127.0.0.1", plain, tls


def make_node(
    client: Client, informers: Informers, settings: Settings, *, alone: bool
) -> tuple[NodeAgent, Part]:
    """The node agent, and what writes its events; ``alone`` in its process, or with all others."""
    own = NodeSettings(
        name=node_name(settings),
        state=Path(settings.state) / "node",
        cgroups=settings.cgroups,
        netns=settings.netns,
        resources=parse_resources(settings.node_resources),
        alone=alone,
    )
    clock = SystemClock()
    events = EventRecorder(client, "hearth-node", clock)

    def make_terminator() -> Terminator:
        from hearth.gateway import termination  # for those who need it

        workers = settings.envoy_workers or os.cpu_count() or 1
        return termination.Terminator(Path(settings.state) / "terminator", workers)

    agent = NodeAgent(client, informers, own, clock, events, make_terminator)
    return agent, Part("node events", events.run)


def make_metrics(process: str, settings: Settings, *sources: Source) -> tuple[Part, str]:
    """What serves a process's figures, and its URL.

    Its usual port may be another's on this machine; then it is any that is free.
    """
    host, port = settings.metrics_host, settings.metrics_port
    if port is not None:
        sock = listen(host, port)
    else:
        try:
            sock = listen(host, METRICS_PORTS[process])
        except ListenError:
            sock = listen(host, 0)
    name = f"[{host}]" if ":" in host else host

    async def serve() -> None:
        await serve_metrics(sock, sources)

    return Part("metrics", serve), f"http://{name}:{sock.getsockname()[1]}/metrics"


async def make_autoscaler_server(
    client: Client, autoscaler: Autoscaler, settings: Settings, context: ssl.SSLContext
) -> tuple[Part, int]:
    """The autoscaler's HTTPS server for gateways in other processes, and its port."""
    token = (await internal_secret(client, "internal"))["token"].decode()
    sock = listen(settings.autoscaler_host, settings.autoscaler_port)

    async def serve() -> None:
        await serve_autoscaler(autoscaler, sock, context, token)

    return Part("autoscaler server", serve), int(sock.getsockname()[1])
