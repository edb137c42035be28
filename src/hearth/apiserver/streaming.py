"""The subresources of pods that take a connection over: exec, attach, portforward.

Commands and output pass through as they come, between the client's WebSocket and the node's. Port
forwarding is SPDY in a WebSocket; each of its connections becomes a WebSocket to the node.

Source: k8s.io/kubernetes pkg/registry/core/pod/rest, k8s.io/apimachinery pkg/util/portforward.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import WSMsgType, web

from hearth.api.errors import BadRequest, InternalError, NotFound, ServiceUnavailable
from hearth.api.http import Response
from hearth.api.meta import Wire, is_deleting, name_of, namespace_of, spec_of, status_of
from hearth.apiserver.asked import Asked
from hearth.apiserver.codec import decode
from hearth.apiserver.core import spdy
from hearth.apiserver.logs import NodeLogs, container_name
from hearth.apiserver.objects import Objects

_CHANNELS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_TUNNEL = "SPDY/3.1+portforward.k8s.io"
_PING_S = 30.0  #: between pings to the node, so that its end is seen


class PodStreams:
    """Connects clients with nodes."""

    def __init__(self, objects: Objects, nodes: NodeLogs) -> None:
        self._objects = objects
        self._nodes = nodes

    async def exec(self, asked: Asked) -> Response:
        """Run a command in a container."""
        if not asked.request.query.get("command"):
            raise BadRequest("you must specify at least one command for the container")
        return await self._relay(asked, "exec")

    async def attach(self, asked: Asked) -> Response:
        """Follow a container's output."""
        return await self._relay(asked, "attach")

    async def _relay(self, asked: Asked, what: str) -> Response:
        pod = await self._pod(asked)
        container = container_name(pod, asked.request.query.get("container", ""))
        path = f"/{what}/{namespace_of(pod)}/{name_of(pod)}/{container}"
        chosen = _chosen(asked, _CHANNELS)

        async def take_over(incoming: web.BaseRequest) -> web.StreamResponse:
            query = [(k, v) for k, v in incoming.query.items() if k in ("command", "stdin", "tty")]
            async with self._node(asked.target.tenant, pod, path, query, (chosen,)) as node:
                client = web.WebSocketResponse(protocols=(chosen,), max_msg_size=0)
                await client.prepare(incoming)
                await _first_of(_copy(node, client), _copy(client, node))
                await client.close()
                return client

        return Response(101, take_over=take_over)

    async def forward(self, asked: Asked) -> Response:
        """Connect a client with ports of a pod."""
        pod = await self._pod(asked)
        chosen = _chosen(asked, (_TUNNEL,))

        async def take_over(incoming: web.BaseRequest) -> web.StreamResponse:
            client = web.WebSocketResponse(protocols=(chosen,), max_msg_size=0)
            await client.prepare(incoming)
            await _Forwarding(self, asked.target.tenant, pod, client).run()
            await client.close()
            return client

        return Response(101, take_over=take_over)

    async def _pod(self, asked: Asked) -> Wire:
        pod = decode(await self._objects.get(asked.target))
        if status_of(pod).get("phase") in ("Succeeded", "Failed"):
            phase = status_of(pod)["phase"]
            said = f"cannot exec into a container in a completed pod; current phase is {phase}"
            raise BadRequest(said)
        if is_deleting(pod) and not spec_of(pod).get("nodeName"):
            raise NotFound(f'pods "{name_of(pod)}" not found')
        return pod

    @contextlib.asynccontextmanager
    async def _node(
        self,
        tenant: str,
        pod: Wire,
        path: str,
        query: list[tuple[str, str]],
        protocols: tuple[str, ...] = (),
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket to the pod's node.

        Raises:
            ServiceUnavailable: the node does not answer.
            InternalError: it refuses.
        """
        url = self._nodes.node_url(tenant, pod) + path
        async with aiohttp.ClientSession() as session:
            try:
                socket = await session.ws_connect(
                    url,
                    params=query,
                    protocols=protocols,
                    headers=self._nodes.headers(tenant),
                    ssl=self._nodes.trust(tenant),
                    max_msg_size=0,
                    heartbeat=_PING_S,
                )
            except aiohttp.WSServerHandshakeError as error:
                where = f"pod {namespace_of(pod)}/{name_of(pod)}"
                raise InternalError(f"unable to upgrade connection: {where}: {error}") from error
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                node = spec_of(pod).get("nodeName")
                raise ServiceUnavailable(f"node {node} does not answer: {error}") from error
            async with socket:
                yield socket

    def connect(
        self, tenant: str, pod: Wire, port: int
    ) -> contextlib.AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
        """A connection to a port of the pod: bytes in messages, an empty one ends our side."""
        path = f"/portForward/{namespace_of(pod)}/{name_of(pod)}"
        return self._node(tenant, pod, path, [("port", str(port))])


@dataclass(slots=True)
class _Pair:
    """One forwarded connection: the stream for its bytes and the one for what went wrong."""

    port: int = 0
    error: int = 0
    data: int = 0
    received: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(64))


class _Forwarding:
    """One client of ``portforward``."""

    def __init__(
        self, streams: PodStreams, tenant: str, pod: Wire, client: web.WebSocketResponse
    ) -> None:
        self._streams, self._tenant, self._pod, self._client = streams, tenant, pod, client
        self._spdy = spdy.Connection()
        self._pairs: dict[str, _Pair] = {}  #: by request ID
        self._by_stream: dict[int, _Pair] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Forward until the client is gone."""
        try:
            async for message in self._client:
                if message.type is WSMsgType.BINARY:
                    for frame in self._spdy.receive(message.data):
                        await self._on(frame)
        except (spdy.ProtocolFault, ConnectionError):
            return
        finally:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _on(self, frame: spdy.Frame) -> None:
        match frame:
            case spdy.Opened(stream, headers):
                await self._opened(stream, headers)
            case spdy.Data(stream, data, end):
                pair = self._by_stream.get(stream)
                if pair is not None and stream == pair.data:
                    if data:
                        await pair.received.put(data)
                    if end:
                        await pair.received.put(b"")
            case spdy.Reset(stream):
                pair = self._by_stream.get(stream)
                if pair is not None:
                    await pair.received.put(b"")
            case spdy.Pinged(number):
                await self._send(self._spdy.pong(number))
            case spdy.GoneAway():
                return

    async def _opened(self, stream: int, headers: Any) -> None:
        pair = self._pairs.setdefault(headers.get("requestid", ""), _Pair())
        self._by_stream[stream] = pair
        if headers.get("streamtype") == "error":
            pair.error = stream
        else:
            pair.data, pair.port = stream, int(headers.get("port") or 0)
        await self._send(self._spdy.reply(stream))
        if pair.error and pair.data:
            self._pairs.pop(headers.get("requestid", ""))
            task = asyncio.ensure_future(self._forward(pair))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(self, pair: _Pair) -> None:
        said = b""
        try:
            async with self._streams.connect(self._tenant, self._pod, pair.port) as node:
                await _first_of(self._to_client(node, pair), _to_node(pair, node))
        except (InternalError, ServiceUnavailable) as error:
            name = name_of(self._pod)
            said = f"error forwarding port {pair.port} to pod {name}: {error.message}".encode()
        with contextlib.suppress(ConnectionError):
            if said:
                await self._send(self._spdy.data(pair.error, said))
            for stream in (pair.error, pair.data):
                await self._send(self._spdy.data(stream, b"", end=True))
        for stream in (pair.error, pair.data):
            self._by_stream.pop(stream, None)

    async def _to_client(self, node: aiohttp.ClientWebSocketResponse, pair: _Pair) -> None:
        async for message in node:
            if message.type is WSMsgType.BINARY:
                await self._send(self._spdy.data(pair.data, message.data))

    async def _send(self, data: bytes) -> None:
        await self._client.send_bytes(data)


async def _to_node(pair: _Pair, node: aiohttp.ClientWebSocketResponse) -> None:
    """Pass on what the client says; its end is passed on too, and the answer still comes."""
    while data := await pair.received.get():
        await node.send_bytes(data)
    await node.send_bytes(b"")
    await asyncio.Event().wait()


async def _copy(
    source: aiohttp.ClientWebSocketResponse | web.WebSocketResponse,
    sink: aiohttp.ClientWebSocketResponse | web.WebSocketResponse,
) -> None:
    async for message in source:
        if message.type is WSMsgType.BINARY:
            await sink.send_bytes(message.data)


async def _first_of(*runs: Coroutine[Any, Any, None]) -> None:
    """Until the first has ended; the others are cancelled."""
    tasks = [asyncio.ensure_future(run) for run in runs]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _chosen(asked: Asked, known: tuple[str, ...]) -> str:
    """The protocol to speak: the first of the client's that we know.

    Raises:
        BadRequest: the client does not ask for a WebSocket, or for none of ours.
    """
    headers = asked.request.headers
    if headers.get("upgrade", "").lower() != "websocket":
        raise BadRequest("Upgrade request required: a WebSocket is needed")
    offered = [one.strip() for one in headers.get("sec-websocket-protocol", "").split(",")]
    for one in offered:
        if one in known:
            return one
    raise BadRequest(f"unable to upgrade: expected one of {', '.join(known)}, got {offered}")
