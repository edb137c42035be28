"""The node agent: a worker per pod, the Node object, the log server."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import shutil
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from aiohttp import web

from hearth.api.errors import ApiError, NotFound
from hearth.api.inside import Terminator
from hearth.api.kinds import NODE, POD
from hearth.api.logs import QUEUE_PROXY
from hearth.api.meta import (
    ObjectKey,
    Wire,
    merge_conditions,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
)
from hearth.api.pods import is_finished
from hearth.client import Client
from hearth.kit.clock import Clock
from hearth.kit.metrics import family, labels
from hearth.kit.tasks import Part, TaskGroup
from hearth.kit.times import rfc3339
from hearth.node.cache import PackageCache
from hearth.node.cgroups import Cgroups, open_cgroups
from hearth.node.claims import ClaimKeeper
from hearth.node.core.acceptance import needs_containers
from hearth.node.disk import evict_those_that_exceed
from hearth.node.dns import NameServer
from hearth.node.fronts import Fronts
from hearth.node.imageserver import ImageServer, ImagesRefused
from hearth.node.logs import Log, LogFiles
from hearth.node.logserver import LogServer
from hearth.node.metrics import MetricsServer
from hearth.node.naming import ServiceNames
from hearth.node.network import Network, open_network
from hearth.node.probelog import ProbeLog
from hearth.node.settings import NodeSettings
from hearth.node.streaming import Enterable, StreamServer
from hearth.node.volumes import Volumes
from hearth.node.worker import Machinery, Worker
from hearth.node.zygotes import Zygotes
from hearth.runtime import Change, EventRecorder, Informers
from hearth.runtime.internal import internal_secret, internal_server_context

if TYPE_CHECKING:
    from hearth.node.cri.pod import ContainerPod
    from hearth.node.cri.runtime import ContainerRuntime

log = logging.getLogger(__name__)

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  #: Go's names
GOODBYE_S = 1.5  #: for telling the API that the agent ends
HEARTBEAT_S = 10.0  #: between writes of the Node's status


class NodeAgent:
    """Runs the pods of one node. Belongs to one event loop."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        settings: NodeSettings,
        clock: Clock,
        events: EventRecorder,
        make_terminator: Callable[[], Terminator],
    ) -> None:
        """Prepare; ``make_terminator`` is called once TLS is to be ended for pods."""
        self._client = client
        self._pods = informers.of(POD, label_selector="")
        self._settings = settings
        self._clock = clock
        self._events = events
        self._fronts = Fronts(informers, make_terminator)
        self._zygotes = Zygotes()
        self._workers: dict[str, Worker | ContainerPod] = {}
        self._claims = ClaimKeeper(client, informers, settings.state, self._claims_in_use)
        self._volumes = Volumes(client, settings.state, settings.name, _capacity(settings))
        self._probe_log = ProbeLog(informers, settings.state, clock)
        self._machinery: Machinery | None = None
        self._containers: ContainerRuntime | None = None
        self._cgroups: Cgroups | None = None
        self._network: Network | None = None
        self._log_port = 0
        self._closing = TaskGroup()
        self.ready = asyncio.Event()  #: set once pods can be run

    async def metrics(self) -> str:
        """Pods of this node by phase: a :data:`hearth.kit.metrics.Source`."""
        phases = Counter(Pending=0, Running=0, Succeeded=0, Failed=0)
        for pod in self._pods.list():
            if self._is_mine(pod):
                phases[str(status_of(pod).get("phase") or "Pending")] += 1
        of = [(labels({"phase": phase}), count) for phase, count in phases.items()]
        return family("hearth_node_pods", "gauge", "Pods of this node by phase.", of)

    def parts(self) -> list[Part]:
        """What must run."""
        return [Part("node agent", self.run)]

    async def run(self) -> None:
        """Run the node's pods until cancelled; then end them all."""
        settings = self._settings
        settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        cgroups = open_cgroups(settings.cgroups, settings.name, os.getpid())
        network = await open_network(settings.netns, str(settings.state.resolve()))
        removal = network.removal(whole=not settings.alone) if network is not None else []
        self._zygotes.at_end = {
            "commands": [*removal, self._volumes.at_end],
            "directories": cgroups.parents if cgroups is not None else [],
        }
        cache = PackageCache(
            self._client, settings.state / "packages", settings.cache_max_bytes, self._in_use
        )
        self._machinery = Machinery(
            self._client,
            self._zygotes,
            cache,
            cgroups,
            network,
            self._volumes,
            settings,
            self._events,
            self._probe_log,
            self._fronts,
        )
        self._cgroups, self._network = cgroups, network
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._serve_logs(), name="log server")
                group.create_task(self._fronts.run(), name="fronts")
                if network is not None:
                    group.create_task(self._name_server(network).serve(), name="name server")
                await self._pods.wait_synced()
                await self._mark_lost()
                await self._sweep()
                self._pods.on_change(self._changed)
                group.create_task(self._heartbeat(), name="heartbeat")
                group.create_task(self._refresh_volumes(), name="volumes")
                looking = evict_those_that_exceed(self._container_pods, self._settings.disk_every_s)
                group.create_task(looking, name="disk")
                group.create_task(self._claims.run(), name="claims")
                await asyncio.Event().wait()
        finally:
            await self._close()
            await self._say_goodbye()
            if network is not None:
                await network.close()
            if cgroups is not None:
                cgroups.close()

    def _name_server(self, network: Network) -> NameServer:
        services = self._settings.services or network.gateway
        return NameServer(network.gateway, services, ServiceNames(self._client).exists)

    async def _close(self) -> None:
        await self._closing.close()
        await asyncio.gather(*(worker.close() for worker in list(self._workers.values())))
        if self._containers is not None:
            await self._containers.close()
        await self._zygotes.close()
        await self._volumes.close()

    async def _say_goodbye(self) -> None:
        """Say that the node and its pods are gone, so that nobody sends requests there.

        An agent that cannot say it is found out by its heartbeat (``capacity.nodes``).
        """
        now = rfc3339(self._clock.now())
        ready = {"type": "Ready", "status": "False", "reason": "NodeAgentStopped"}
        conditions = [{**ready, "lastHeartbeatTime": now, "lastTransitionTime": now}]
        mine = [pod for pod in self._pods.list() if self._is_mine(pod) and not is_finished(pod)]
        try:
            async with asyncio.timeout(GOODBYE_S):
                patch = {"status": {"conditions": conditions}}
                await self._client.patch(NODE, "", self._settings.name, patch, subresource="status")
                for pod in mine:
                    await self._mark_failed(pod)
        except (ApiError, ConnectionError, TimeoutError) as error:
            log.warning("node left without a word", extra={"f": {"because": repr(error)}})

    # Pods

    def _is_mine(self, pod: Wire | None) -> bool:
        return pod is not None and spec_of(pod).get("nodeName") == self._settings.name

    def _changed(self, change: Change) -> None:
        pod = change.new if change.new is not None else change.old
        assert pod is not None
        if not self._is_mine(pod):
            return
        worker = self._workers.get(uid_of(pod))
        if change.new is None:
            if worker is not None and uid_of(worker.pod) == uid_of(pod):
                self._vanished(worker, pod)
            return
        if worker is None:
            if status_of(pod).get("phase") in ("Succeeded", "Failed"):
                if (pod.get("metadata") or {}).get("deletionTimestamp"):
                    self._adopt(pod)
                return
            worker = self._adopt(pod)
        worker.offer(pod)

    def _claims_in_use(self) -> set[tuple[str, str]]:
        return {
            (namespace_of(worker.meant), str(volume["persistentVolumeClaim"].get("claimName")))
            for worker in self._workers.values()
            for volume in spec_of(worker.meant).get("volumes") or ()
            if volume.get("persistentVolumeClaim")
        }

    def _container_pods(self) -> list[ContainerPod]:
        """Pods whose disk is their own."""
        return [each for each in self._workers.values() if not isinstance(each, Worker)]

    async def _refresh_volumes(self) -> None:
        while True:
            await asyncio.sleep(self._settings.volumes_refresh_s)
            for worker in list(self._workers.values()):
                try:
                    await self._volumes.refresh(worker.meant)
                except (ApiError, ConnectionError) as error:
                    facts = {"pod": name_of(worker.pod), "because": str(error)}
                    log.warning("volumes not refreshed", extra={"f": facts})

    def _adopt(self, pod: Wire) -> Worker | ContainerPod:
        assert self._machinery is not None
        worker: Worker | ContainerPod
        if needs_containers(spec_of(pod)):
            from hearth.node.cri.pod import ContainerPod  # with gRPC: 25 MiB, for those who need it

            worker = ContainerPod(pod, self._container_runtime(), self._gone)
        else:
            worker = Worker(pod, self._machinery, self._gone)
        self._workers[worker.uid] = worker
        return worker

    def _container_runtime(self) -> ContainerRuntime:
        if self._containers is None:
            from hearth.node.cri.runtime import ContainerRuntime

            assert self._machinery is not None
            self._containers = ContainerRuntime(self._machinery)
        return self._containers

    def _vanished(self, worker: Worker | ContainerPod, pod: Wire) -> None:
        """A deletion event: the object may have moved, then its new place comes right after."""
        moved = namespace_of(worker.pod) != namespace_of(pod)
        if not moved:
            loop = asyncio.get_running_loop()
            loop.call_later(1.0, self._vanish_if_gone, worker, namespace_of(pod))

    def _vanish_if_gone(self, worker: Worker | ContainerPod, namespace: str) -> None:
        if worker.uid in self._workers and namespace_of(worker.pod) == namespace:
            worker.vanish()

    def _gone(self, uid: str) -> None:
        worker = self._workers.pop(uid, None)
        if worker is not None:
            shutil.rmtree(self._settings.state / "pods" / uid, ignore_errors=True)
            self._closing.start(self._end(worker), name=f"close {uid}")

    async def _end(self, worker: Worker | ContainerPod) -> None:
        await worker.close()
        await self._volumes.remove(worker.uid)

    async def _mark_lost(self) -> None:
        """Pods that an earlier agent ran have ended with it: say so, for their owners."""
        mine = [pod for pod in self._pods.list() if self._is_mine(pod)]
        if self._network is not None:
            self._network.avoid({str(status_of(pod).get("podIP") or "") for pod in mine})
        for pod in mine:
            started = bool(status_of(pod).get("containerStatuses"))
            finished = status_of(pod).get("phase") in ("Succeeded", "Failed")
            if started and not finished:
                await self._mark_failed(pod)

    async def _sweep(self) -> None:
        """Remove logs and volumes of pods that went while nobody looked."""
        kept = {uid_of(pod) for pod in self._pods.list()}
        await self._volumes.sweep({uid_of(pod) for pod in self._pods.list() if self._is_mine(pod)})
        for folder in (self._settings.state / "pods").glob("*"):
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    async def _mark_failed(self, pod: Wire) -> None:
        deleting = bool((pod.get("metadata") or {}).get("deletionTimestamp"))
        now = rfc3339(self._clock.now())
        said = "the node agent ended, and the pod's process with it"
        ended = {"exitCode": 137, "reason": "NodeRestarted", "message": said, "finishedAt": now}
        statuses = [
            {**status, "ready": False, "started": False, "state": {"terminated": ended}}
            for status in status_of(pod).get("containerStatuses") or ()
        ]
        kept = [c for c in status_of(pod).get("conditions") or () if c["type"] != "Ready"]
        ready = {"type": "Ready", "status": "False", "reason": "NodeRestarted"}
        status = {
            "phase": "Failed",
            "reason": "NodeRestarted",
            "message": said,
            "conditions": [*kept, {**ready, "lastTransitionTime": now}],
            "containerStatuses": statuses,
        }
        where = (POD, namespace_of(pod), name_of(pod))
        try:
            if deleting:
                await self._client.delete(*where, uid=uid_of(pod), grace_period_s=0)
            else:
                await self._client.patch(*where, {"status": status}, subresource="status")
        except ApiError as error:
            facts = {"pod": name_of(pod), "because": str(error)}
            log.warning("lost pod not marked", extra={"f": facts})

    def _in_use(self) -> set[str]:
        return {name for worker in self._workers.values() for name in worker.packages}

    # Node

    async def _heartbeat(self) -> None:
        while True:
            try:
                await self._write_node()
                self.ready.set()
            except (ApiError, ConnectionError) as error:
                log.warning("node not written", extra={"f": {"because": str(error)}})
                await asyncio.sleep(1)
                continue
            await asyncio.sleep(HEARTBEAT_S)

    async def _write_node(self) -> None:
        name = self._settings.name
        try:
            node = await self._client.get(NODE, "", name)
        except NotFound:
            node = await self._create_node()
        status = self._status(status_of(node).get("conditions") or ())
        status["images"] = await self._images()
        await self._client.patch(NODE, "", name, {"status": status}, subresource="status")

    async def _create_node(self) -> Wire:
        name, machine = self._settings.name, platform.machine()
        labels = {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": _ARCHITECTURES.get(machine, machine),
        }
        return await self._client.create(
            NODE, {"metadata": {"name": name, "labels": labels}, "spec": {}}
        )

    async def _images(self) -> list[Wire]:
        used = (self._settings.state / "containerd").exists()
        if self._containers is None and not used:
            return []
        try:
            return await self._container_runtime().images()
        except ImagesRefused as error:
            log.warning("images not told", extra={"f": {"because": str(error)}})
            return []

    def _status(self, conditions: Sequence[Wire]) -> Wire:
        capacity = _capacity(self._settings)
        now, machine = rfc3339(self._clock.now()), platform.machine()
        ready = {"type": "Ready", "status": "True", "reason": "NodeAgentReady"}
        [ready] = merge_conditions(conditions, [ready], now)
        return {
            "capacity": capacity,
            "allocatable": capacity,
            "addresses": [
                {"type": "InternalIP", "address": self._settings.host},
                {"type": "Hostname", "address": self._settings.name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._log_port}},
            "conditions": [{**ready, "lastHeartbeatTime": now}],
            "nodeInfo": {
                "architecture": _ARCHITECTURES.get(machine, machine),
                "operatingSystem": "linux",
                "kernelVersion": platform.release(),
                "osImage": platform.platform(),
                "containerRuntimeVersion": "hearth-process://1",
                "kubeletVersion": "v1.35.0+hearth",
            },
        }

    # Logs

    async def _serve_logs(self) -> None:
        internal = await internal_secret(self._client, "internal")
        token = internal["token"].decode()
        app = LogServer(self._find_log, token, self._clock).app()
        images = ImageServer(self._container_runtime, token, self._settings.state, self._write_node)
        app.router.add_routes(images.routes())
        app.router.add_get("/metrics/pods", MetricsServer(self._running, token).answer)
        StreamServer(self._find_container, token).add_to(app)
        context = await internal_server_context(self._client)
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.2
        )
        await runner.setup()
        sock = socket.create_server((self._settings.host, 0))
        self._log_port = sock.getsockname()[1]
        try:
            await web.SockSite(runner, sock, ssl_context=context).start()
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    def _running(self) -> list[tuple[Wire, list[str], int]]:
        found = ((worker.pod, worker.where) for worker in self._workers.values())
        return [(pod, *where) for pod, where in found if where is not None]

    def _find_container(self, namespace: str, name: str, container: str) -> Enterable | None:
        pod = self._pods.get(ObjectKey(self._client.tenant, namespace, name))
        worker = self._workers.get(uid_of(pod)) if pod is not None else None
        return worker.container(container) if worker is not None else None

    def _find_log(self, namespace: str, name: str, container: str) -> Log | None:
        """The log of a running container, or what is kept of one that has ended."""
        pod = self._pods.get(ObjectKey(self._client.tenant, namespace, name))
        if pod is None:
            return None
        worker = self._workers.get(uid_of(pod))
        if container == QUEUE_PROXY:
            return self._probe_log.log_of(pod, runs=worker is not None)
        if worker is not None:
            return worker.log_of(container)
        return LogFiles(self._settings.state / "pods" / uid_of(pod) / container)


def _capacity(settings: NodeSettings) -> dict[str, str]:
    memory_kib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024
    disk = os.statvfs(next(at for at in (settings.state, *settings.state.parents) if at.exists()))
    return {
        "cpu": str(os.cpu_count() or 1),
        "memory": f"{memory_kib}Ki",
        "ephemeral-storage": f"{disk.f_blocks * disk.f_frsize // 1024}Ki",
        "pods": str(settings.max_pods),
        **settings.resources,
    }
