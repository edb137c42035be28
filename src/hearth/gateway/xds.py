"""The xDS server: incremental aggregated discovery, and load reports, for one Envoy."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from envoy.service.discovery.v3 import ads_pb2_grpc
from envoy.service.discovery.v3 import discovery_pb2 as discovery
from envoy.service.load_stats.v3 import lrs_pb2, lrs_pb2_grpc
from google.protobuf.duration_pb2 import Duration

from hearth.gateway import instruments

log = logging.getLogger(__name__)

_PREFIX = "type.googleapis.com/envoy.config."
CLUSTER = _PREFIX + "cluster.v3.Cluster"
ENDPOINTS = _PREFIX + "endpoint.v3.ClusterLoadAssignment"
ROUTES = _PREFIX + "route.v3.RouteConfiguration"
SCOPES = _PREFIX + "route.v3.ScopedRouteConfiguration"
EXTENSIONS = _PREFIX + "core.v3.TypedExtensionConfig"
LISTENERS = _PREFIX + "listener.v3.Listener"
SECRETS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"

#: grpc.aio drops calls when more than about 1,000 are not accepted yet (measured).
_OPTIONS = [
    ("grpc.server.max_pending_requests", 200_000),
    ("grpc.server.max_pending_requests_hard_limit", 300_000),
    ("grpc.max_receive_message_length", 64 * 2**20),
]

Message = Any
OnReport = Callable[[lrs_pb2.LoadStatsRequest], None]
Clusters = Callable[[], AsyncIterator[frozenset[str]]]
OnLog = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class _Resource:
    version: str
    value: bytes  #: encoded: as a message it takes three times the memory


class Resources:
    """The resources that Envoy must have, and which of them it has acknowledged."""

    def __init__(self) -> None:
        self._resources: defaultdict[str, dict[str, _Resource]] = defaultdict(dict)
        self._streams: set[_Stream] = set()
        self._progress = asyncio.Event()
        self.rejected = 0  #: responses that Envoy did not take

    def put(self, kind: str, messages: Mapping[str, Message]) -> None:
        """Make these the newest versions of their names, and send them."""
        for name, message in messages.items():
            value = message.SerializeToString(deterministic=True)
            self._resources[kind][name] = _Resource(_version_of(value), value)
        self._changed(kind, messages)

    def remove(self, kind: str, names: Iterable[str]) -> None:
        """Take the names away."""
        gone = [name for name in names if self._resources[kind].pop(name, None) is not None]
        self._changed(kind, gone)

    @property
    def connected(self) -> bool:
        """Whether an Envoy is there."""
        return bool(self._streams)

    def names(self, kind: str) -> set[str]:
        """What there is of a kind."""
        return set(self._resources[kind])

    def get(self, kind: str, name: str) -> _Resource | None:
        """One resource."""
        return self._resources[kind].get(name)

    async def wait_acknowledged(self, kind: str, names: Iterable[str]) -> None:
        """Return once Envoy has the newest versions of these names (or they are gone)."""
        wanted = set(names)
        while not all(self._is_acknowledged(kind, name) for name in wanted):
            progress = self._progress
            await progress.wait()

    def _is_acknowledged(self, kind: str, name: str) -> bool:
        resource = self._resources[kind].get(name)
        if resource is None:
            return True
        return any(s.acknowledged[kind].get(name) == resource.version for s in self._streams)

    def _changed(self, kind: str, names: Iterable[str]) -> None:
        for stream in self._streams:
            stream.notify(kind, names)
        self.progressed()

    def progressed(self) -> None:
        """Something was acknowledged, or is not wanted any more."""
        progress, self._progress = self._progress, asyncio.Event()
        progress.set()

    def open(self) -> _Stream:
        """A stream begins."""
        stream = _Stream(self)
        self._streams.add(stream)
        return stream

    def close(self, stream: _Stream) -> None:
        """A stream has ended."""
        self._streams.discard(stream)


def _version_of(value: bytes) -> str:
    """The same for the same content, also to a companion that comes after us."""
    return hashlib.blake2b(value, digest_size=12).hexdigest()


@dataclass(eq=False, slots=True)
class _Stream:
    """One connection of an Envoy."""

    resources: Resources
    queue: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    dirty: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    wildcard: set[str] = field(default_factory=set)
    subscribed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    acknowledged: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    sent: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)  #: by nonce
    nonces: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def notify(self, kind: str, names: Iterable[str]) -> None:
        """Send these if the Envoy asked for them."""
        subscribed = self.subscribed.get(kind, ())  # an entry would say that it has asked before
        wanted = [n for n in names if kind in self.wildcard or n in subscribed]
        if wanted:
            if not self.dirty[kind]:
                self.queue.put_nowait(kind)
            self.dirty[kind].update(wanted)
            for name in wanted:  # what it has may be what it had before the last change
                self.acknowledged[kind].pop(name, None)

    def receive(self, request: discovery.DeltaDiscoveryRequest) -> None:
        """Take in what Envoy wants, has, or thinks of what we sent."""
        kind = request.type_url
        if request.response_nonce:
            self._acknowledge(request)
        first = kind not in self.wildcard and kind not in self.subscribed
        names = list(request.resource_names_subscribe)
        known = dict(request.initial_resource_versions)
        if (first and not names) or "*" in names:
            self.wildcard.add(kind)
            names = [name for name in names if name != "*"]
            self._catch_up(kind, known)
        self.subscribed[kind].update(names)
        self.subscribed[kind].difference_update(request.resource_names_unsubscribe)
        for name in request.resource_names_unsubscribe:
            self.acknowledged[kind].pop(name, None)
        self.notify(kind, names)

    def _catch_up(self, kind: str, known: dict[str, str]) -> None:
        """An Envoy that has resources already gets only what differs."""
        have = self.resources.names(kind)
        same = set()
        for name, version in known.items():
            resource = self.resources.get(kind, name)
            if resource is not None and resource.version == version:
                self.acknowledged[kind][name] = version
                same.add(name)
        self.resources.progressed()
        self.notify(kind, (have | set(known)) - same)
        if not have | set(known):  # an empty answer ends Envoy's waiting for its first one
            self.dirty[kind] = set()
            self.queue.put_nowait(kind)

    def _acknowledge(self, request: discovery.DeltaDiscoveryRequest) -> None:
        kind, versions = self.sent.pop(request.response_nonce, ("", {}))
        if request.HasField("error_detail"):
            self.resources.rejected += 1
            instruments.XDS_REJECTED.inc()
            facts = {"type": kind, "names": list(versions), "error": request.error_detail.message}
            log.error("envoy rejected configuration", extra={"f": facts})
            return
        self.acknowledged[kind].update(versions)
        self.resources.progressed()

    async def next(self) -> discovery.DeltaDiscoveryResponse:
        """The next response, once there is something to send."""
        kind = await self.queue.get()
        names, self.dirty[kind] = self.dirty[kind], set()
        nonce = str(next(self.nonces))
        response = discovery.DeltaDiscoveryResponse(type_url=kind, nonce=nonce)
        versions: dict[str, str] = {}
        for name in sorted(names):
            resource = self.resources.get(kind, name)
            if resource is None:
                response.removed_resources.append(name)
                self.acknowledged[kind].pop(name, None)
            else:
                versions[name] = resource.version
                packed = response.resources.add(name=name, version=resource.version).resource
                packed.type_url, packed.value = kind, resource.value
        self.sent[nonce] = (kind, versions)
        return response


class _Discovery(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):  # type: ignore[misc]
    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def DeltaAggregatedResources(
        self,
        requests: AsyncIterator[discovery.DeltaDiscoveryRequest],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[discovery.DeltaDiscoveryResponse]:
        """One Envoy's stream."""
        stream = self._resources.open()

        async def read() -> None:
            async for request in requests:
                stream.receive(request)

        reading = asyncio.create_task(read(), name="xds reader")
        try:
            while True:
                yield await stream.next()
        finally:
            reading.cancel()
            self._resources.close(stream)


class _LoadReports(lrs_pb2_grpc.LoadReportingServiceServicer):  # type: ignore[misc]
    def __init__(self, on_report: OnReport, interval_s: float, clusters: Clusters | None) -> None:
        self._on_report = on_report
        self._interval_s = interval_s
        self._clusters = clusters

    async def StreamLoadStats(
        self,
        requests: AsyncIterator[lrs_pb2.LoadStatsRequest],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[lrs_pb2.LoadStatsResponse]:
        """One Envoy's stream: it says hello, we say what we want, then it reports."""
        await anext(requests)

        async def read() -> None:
            async for request in requests:
                self._on_report(request)

        reading = asyncio.create_task(read(), name="load reports")
        try:
            if self._clusters is None:
                yield self._wanted(None)
                await reading
            else:
                async for clusters in self._clusters():
                    yield self._wanted(clusters)
        finally:
            reading.cancel()

    def _wanted(self, clusters: Iterable[str] | None) -> lrs_pb2.LoadStatsResponse:
        interval = Duration()
        interval.FromNanoseconds(int(self._interval_s * 1e9))
        return lrs_pb2.LoadStatsResponse(
            send_all_clusters=clusters is None,
            clusters=sorted(clusters or ()),
            load_reporting_interval=interval,
            report_endpoint_granularity=True,
        )


def _access_log(on_log: OnLog) -> grpc.GenericRpcHandler[bytes, bytes]:
    """Envoy's access log service, whose messages stay bytes: to decode them costs as much again."""

    async def take(
        messages: AsyncIterator[bytes], context: grpc.aio.ServicerContext[Any, Any]
    ) -> bytes:
        async for message in messages:
            on_log(message)
        return b""

    method = grpc.stream_unary_rpc_method_handler(take)
    service = "envoy.service.accesslog.v3.AccessLogService"
    return grpc.method_handlers_generic_handler(service, {"StreamAccessLogs": method})


async def serve_xds(
    resources: Resources,
    address: str,
    on_report: OnReport,
    interval_s: float,
    clusters: Clusters | None = None,
    on_log: OnLog = lambda message: None,
) -> grpc.aio.Server:
    """Serve discovery and load reports; stop the server that is returned.

    Args:
        resources: what Envoy must have.
        address: where to listen, ``unix:PATH``.
        on_report: takes each load report.
        interval_s: between load reports.
        clusters: those to report, at first and after each change; None for all.
        on_log: told of every message of its access log, encoded.
    """
    server = grpc.aio.server(options=_OPTIONS)
    ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(_Discovery(resources), server)
    reports = _LoadReports(on_report, interval_s, clusters)
    lrs_pb2_grpc.add_LoadReportingServiceServicer_to_server(reports, server)
    server.add_generic_rpc_handlers((_access_log(on_log),))
    server.add_insecure_port(address)
    await server.start()
    return server
