"""The companion: everything beside Envoy, put together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from pathlib import Path
from typing import Any

import grpc.aio

from hearth.api.activation import Autoscaler, StatReport
from hearth.api.errors import ApiError
from hearth.api.kinds import POD
from hearth.api.meta import ObjectKey, Wire
from hearth.api.names import (
    GATEWAY_LABEL,
    PROGRAMMED_CERTIFICATES_ANNOTATION,
    PROGRAMMED_SECRETS_ANNOTATION,
    REQUEST_LOGS_ANNOTATION,
)
from hearth.client import Client
from hearth.gateway import instruments
from hearth.gateway.activator import Activator
from hearth.gateway.admin import Admin
from hearth.gateway.announcing import Place, announce
from hearth.gateway.bootstrap import make_bootstrap
from hearth.gateway.certificates import Certificates
from hearth.gateway.core.routing import cluster_name, parse_cluster_name
from hearth.gateway.envoy import Envoy, Record, earlier_envoy, free_ports, socket_folder
from hearth.gateway.envoy_stats import as_ours, envoy_stats
from hearth.gateway.limits import Limits
from hearth.gateway.listeners import Addresses, Config
from hearth.gateway.logserver import LogServer
from hearth.gateway.programming import Programming
from hearth.gateway.requestlog import RequestLog
from hearth.gateway.settings import GatewaySettings
from hearth.gateway.spans import Spans
from hearth.gateway.stats import Stats, interval_of
from hearth.gateway.tracing import Traces
from hearth.gateway.tracking import Tracking
from hearth.gateway.trust import Trust
from hearth.gateway.xds import Resources, serve_xds
from hearth.kit.clock import Clock
from hearth.kit.files import write_private
from hearth.kit.metrics import family, labels
from hearth.kit.tasks import Part
from hearth.runtime import Informers
from hearth.runtime.heartbeat import HEARTBEAT_S, write_lease

log = logging.getLogger(__name__)

_DRAIN_S = 600  #: when tracing is turned on or off, for streams to end
_REPORTS_MAX = 100  #: load reports that may wait for the autoscaler; older ones are dropped
_SETTLE_S = 0.005  #: programmed batches within this are noted in one write


class Gateway:
    """One gateway of a ServiceGroup. Belongs to one event loop."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        autoscaler: Autoscaler,
        settings: GatewaySettings,
        clock: Clock,
    ) -> None:
        """Prepare; the port is chosen here, and refused here when it is in use.

        Raises:
            GatewayError: the port cannot be listened on.
        """
        self._client = client
        self._informers = informers
        self._autoscaler = autoscaler
        self._settings = settings
        self._clock = clock
        self._earlier = earlier_envoy(settings.state)
        ports = _ports(settings, self._earlier)
        self.http_port, self.https_port, self.inside_port, self.inside_https_port = ports
        self._mark = _mark(settings.state)
        self._resources = Resources()
        certificates = Certificates(informers, self._resources, clock)
        trust = Trust(informers, self._resources, clock, self._mark)
        self._programming = Programming(
            informers, self._resources, certificates, trust, self.https_port, self._mark
        )
        self._limits = Limits(self._programming.instances_of)
        self._activator = Activator(
            autoscaler,
            self._programming.instance_of,
            self._programming.timeout_of,
            self._limits,
            settings,
            lambda: self._programming.speaks_tls,
        )
        self._activator.spans = self._spans = Spans()
        self._programming.on_instance = self._activator.instance_appeared
        self._programming.on_pods = self._limits.instances_changed
        self._tracking = tracking = Tracking()
        self._programming.on_endpoints = tracking.has_instances
        self._activator.on_hold = lambda key: tracking.is_busy(cluster_name(key), True)
        held_for, let_go_to = self._activator.held_for, self._activator.let_go_to
        self._stats = Stats(held_for, tracking.is_busy, let_go_to, self._programming.app_of)
        self._request_log = RequestLog(informers, self._resources, settings)
        self._logs = LogServer(
            self._request_log, self._programming.pod_of, clock, settings.logs_host
        )
        self._traces = Traces(informers, self._resources, settings, self._addresses(), self._spans)
        self._reports: asyncio.Queue[StatReport] = asyncio.Queue(_REPORTS_MAX)
        self._logs_url = ""  #: where the log of requests is served
        self._admin: Path | None = None  #: Envoy's own socket, while it runs
        self.ready = asyncio.Event()  #: set once requests are answered

    def _addresses(self) -> Addresses:
        settings = self._settings
        return Addresses(
            edge=(settings.host, self.http_port),
            https=(settings.host, self.https_port),
            inside=(settings.inside_host, self.inside_port),
            inside_https=(settings.inside_host, self.inside_https_port),
        )

    def parts(self) -> list[Part]:
        """What must run."""
        return [Part("gateway", self.run)]

    async def run(self) -> None:
        """Run Envoy and its companion until cancelled."""
        with socket_folder(self._settings.state, self._earlier) as sockets:
            await self._run(sockets)

    async def _run(self, sockets: Path) -> None:
        settings = self._settings
        if self._earlier is not None:
            with contextlib.suppress(OSError, TimeoutError):  # it has just died
                await self._limits.inherit(Admin(sockets / "admin").let_go)
        activator = await self._activator.serve(sockets / "activator")
        config = make_bootstrap(
            name=settings.name,
            addresses=self._addresses(),
            listeners=str(self._traces.listeners),
            xds=f"{sockets}/xds",
            activator=f"{sockets}/activator",
            admin=f"{sockets}/admin",
            mark=self._mark,
        )
        envoy = self._envoy(config)
        envoy.on_death = self._envoy_died
        self._admin = sockets / "admin"
        xds = None
        try:
            async with asyncio.TaskGroup() as group:
                await self._informers.wait_synced()
                self._programming.follow()
                self._request_log.follow()
                self._traces.follow()
                await self._programming.prime()
                xds = await self._serve_xds(sockets)
                group.create_task(self._programming.run(), name="programming")
                group.create_task(envoy.run(), name="envoy")
                group.create_task(self._send_reports(), name="stats")
                group.create_task(self._spans.run(), name="spans")
                group.create_task(self._request_log.run(self._admin), name="request log")
                self._logs_url = self._logs.listen()
                group.create_task(self._logs.run(self._client), name="request log server")
                await envoy.ready.wait()
                group.create_task(self._keep_lease(), name="lease")
                if settings.announced:
                    group.create_task(self._announce(), name="announcing")
                self.ready.set()
        finally:
            await self._activator.close()
            await self._limits.close()
            activator.close()
            if xds is not None:
                await xds.stop(0)

    def _envoy(self, config: Config) -> Envoy:
        own = self._settings
        return Envoy(config, own.state, own.workers, outlives=own.outlives, drain_s=_DRAIN_S)

    async def _serve_xds(self, sockets: Path) -> grpc.aio.Server:
        return await serve_xds(
            self._resources,
            f"unix:{sockets}/xds",
            self._reported,
            self._settings.stats_interval_s,
            self._tracking.changes,
            self._logged,
        )

    def _logged(self, entries: bytes) -> None:
        self._limits.take_log(entries)
        self._activator.take_log(entries)

    def _envoy_died(self) -> None:
        instruments.ENVOY_DEATHS.inc()
        self._limits.forget_streams()

    # Figures

    async def metrics(self) -> str:
        """Figures of revisions that have any: a :data:`hearth.kit.metrics.Source`."""
        queued = family(
            "kn_revision_request_queued",
            "gauge",
            "Requests that are held now.",
            (
                (labels(own), held)
                for key, held in self._activator.held_by_revision()
                if (own := self._programming.labels_of(key)) is not None
            ),
        )
        if self._admin is None:
            return queued
        text = await envoy_stats(self._admin)
        labels_of = self._programming.labels_of
        return queued + as_ours(text, lambda cluster: labels_of(parse_cluster_name(cluster)))

    def _reported(self, request: Any) -> None:
        stats = self._stats.take(request)
        running = {ObjectKey(s.tenant, s.namespace, s.revision): s.in_flight for s in stats}
        self._limits.observe(running)
        if stats:
            interval_s = interval_of(request) or self._settings.stats_interval_s
            report = StatReport(self._settings.name, interval_s, stats)
            if self._reports.full():
                self._reports.get_nowait()
            self._reports.put_nowait(report)

    async def _send_reports(self) -> None:
        while True:
            report = await self._reports.get()
            try:
                await self._autoscaler.report(report)
            except ConnectionError as error:
                log.warning("figures not sent", extra={"f": {"because": str(error)}})
                await asyncio.sleep(1)

    # Lease

    async def _announce(self) -> None:
        """Tell where it is; once is enough."""
        settings = self._settings
        place = Place(
            settings.host, self.http_port, self.https_port, settings.inside_host, self.inside_port
        )
        while True:
            try:
                await announce(self._client, place)
            except (ApiError, ConnectionError) as error:
                log.warning("gateway not announced", extra={"f": {"because": str(error)}})
                await asyncio.sleep(1)
            else:
                return

    async def _keep_lease(self) -> None:
        """Renew the Lease, and note in it what Envoy has been told, as soon as it has."""
        noted: dict[str, int] = {}
        while True:
            programmed = self._programming.programmed
            versions = dict(self._programming.versions)
            try:
                await self._write_lease(versions)
                noted = versions
            except (ApiError, ConnectionError) as error:
                log.warning("lease not renewed", extra={"f": {"because": str(error)}})
                await asyncio.sleep(1)
            await self._until_news(programmed, noted)

    async def _until_news(self, programmed: asyncio.Event, noted: dict[str, int]) -> None:
        deadline = asyncio.get_running_loop().time() + HEARTBEAT_S
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            try:
                async with asyncio.timeout(left):
                    await programmed.wait()
            except TimeoutError:
                return
            await asyncio.sleep(_SETTLE_S)
            programmed = self._programming.programmed
            now = self._programming.versions
            if now != noted and (self._programming.is_waited_for() or _tls(now) != _tls(noted)):
                return

    async def _write_lease(self, versions: dict[str, int]) -> None:
        await write_lease(
            self._client,
            self._clock,
            f"gateway-{self._settings.name}",
            holder=self._settings.name,
            labels={GATEWAY_LABEL: self._settings.group},
            annotations={
                **{name: str(version) for name, version in versions.items()},
                REQUEST_LOGS_ANNOTATION: self._logs_url,
            },
            owners=self._owners(),
        )

    def _owners(self) -> list[Wire]:
        """The pod that the gateway is, for the Lease to end with it."""
        if not self._settings.pod_uid:
            return []
        pod = {"kind": POD.kind, "apiVersion": POD.api_version}
        return [{**pod, "name": self._settings.name, "uid": self._settings.pod_uid}]


def _tls(versions: dict[str, int]) -> list[int | None]:
    """What concerns certificates: it changes rarely, and someone waits for it then."""
    names = (PROGRAMMED_CERTIFICATES_ANNOTATION, PROGRAMMED_SECRETS_ANNOTATION)
    return [versions.get(name) for name in names]


def _ports(settings: GatewaySettings, earlier: Record | None) -> list[int]:
    """Ports for what comes in from outside and over TLS, and from inside and over TLS.

    An Envoy that runs has its own already, and they are kept unless others are asked for.

    Raises:
        GatewayError: one cannot be listened on.
    """
    wanted = {
        "edge": (settings.host, settings.port),
        "https": (settings.host, settings.https_port),
        "inside": (settings.inside_host, settings.inside_port),
        "inside-https": (settings.inside_host, settings.inside_https_port),
    }
    found: dict[str, int] = {}
    if earlier is not None:
        for name, (host, port) in wanted.items():
            was_host, was_port = earlier.address_of(name)
            if was_host == host and port in (0, was_port):
                found[name] = was_port
    missing = [name for name in wanted if name not in found]
    found |= zip(missing, free_ports(*(wanted[name] for name in missing)), strict=True)
    return [found[name] for name in wanted]


def _mark(state: Path) -> str:
    """The gateway's own mark, see ``make_bootstrap``: its Envoy and its routes must agree on it."""
    path = state / "mark"
    with contextlib.suppress(FileNotFoundError):
        return path.read_text()
    mark = secrets.token_hex(16)
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(path, mark.encode())
    return mark
