"""Carries out what one pod's machine decides: process, logs, probes, status."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from hearth.api.code import identity_of, specialisation_of
from hearth.api.errors import ApiError, NotFound
from hearth.api.inside import Front
from hearth.api.kinds import POD
from hearth.api.meta import (
    Wire,
    annotations_of,
    labels_of,
    metadata,
    name_of,
    namespace_of,
    spec_of,
    uid_of,
)
from hearth.api.names import (
    APP_PORT_ANNOTATION,
    CONTROL_PORT,
    CONTROL_PORT_ANNOTATION,
    PODPOOL_LABEL,
    REVISION_LABEL,
    USER_PORT,
)
from hearth.api.pods import container_port, user_container
from hearth.client import Client
from hearth.client.patience import patiently
from hearth.kit.backoff import backoff_s
from hearth.kit.tasks import TaskGroup
from hearth.kit.times import rfc3339
from hearth.loader.become import kept_environment
from hearth.loader.packages import CodeError, cache_name
from hearth.loader.protocol import (
    PRELOAD_VARIABLE,
    SECRET_DIGEST_VARIABLE,
    Package,
    Specialisation,
)
from hearth.node.cache import PackageCache
from hearth.node.cgroups import Cgroups, Limits
from hearth.node.core import lifecycle as life
from hearth.node.core.acceptance import codeless, is_warm, refusal, without_effect
from hearth.node.core.dns import resolving_of
from hearth.node.core.etc import hosts_text
from hearth.node.core.fronts import with_tls
from hearth.node.core.status import pod_status
from hearth.node.dns import RESOLV_CONF
from hearth.node.draining import drained
from hearth.node.entering import EnteredContainer, Inside
from hearth.node.environment import EnvironmentFault, container_environment
from hearth.node.fronts import Fronts
from hearth.node.logs import ContainerLog
from hearth.node.network import Network, NetworkUnavailable
from hearth.node.probelog import ProbeLog
from hearth.node.probing import Where, run_probes
from hearth.node.settings import NodeSettings
from hearth.node.statuses import StatusWriter, remove_object
from hearth.node.volumes import VolumeFault, Volumes, mounts_of
from hearth.node.zygotes import ZygoteDied, Zygotes
from hearth.runtime import EventRecorder

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Machinery:
    """What all workers of a node share."""

    client: Client
    zygotes: Zygotes
    cache: PackageCache
    cgroups: Cgroups | None
    network: Network | None
    volumes: Volumes
    settings: NodeSettings
    events: EventRecorder
    probe_log: ProbeLog
    fronts: Fronts


@dataclass(slots=True)
class _Process:
    """A pod's running process."""

    name: str
    spec: Specialisation | None = None  #: what it becomes at once; None: it waits for a claim
    pid: int = 0
    ip: str = "127.0.0.1"
    app_port: int = USER_PORT  #: where it was told to listen when it was made
    group: str = ""  #: its cgroups' name: not its predecessor's, which may still be emptied
    cgroups: list[str] = field(default_factory=list)
    writer: asyncio.StreamWriter | None = None
    failure: str = ""  #: what the loader said of why it cannot be
    sealed: bool = False
    environment: dict[str, str] = field(default_factory=dict)  #: of what runs in it
    claimed: Wire | None = None  #: metadata and spec of what a warm pod has become
    packages: set[str] = field(default_factory=set)


class _Heard:
    """Takes what probes find to the worker."""

    def __init__(self, worker: Worker, process: _Process) -> None:
        self._worker, self._process = worker, process

    def ready(self, is_ready: bool) -> None:
        """The app may be sent requests, or may not."""
        self._worker.heard_ready(self._process, is_ready)

    def unhealthy(self, kind: str, why: str) -> None:
        """A probe failed."""
        self._worker.heard_unhealthy(kind, why)

    def condemn(self, kind: str, why: str, grace_s: float) -> None:
        """The app must be ended."""
        self._worker.heard_condemned(self._process, kind, why, grace_s)


class Worker:
    """One pod, known by its UID. ``offer`` tells it what the API says."""

    def __init__(self, pod: Wire, machinery: Machinery, on_gone: Callable[[str], None]) -> None:
        self.pod = pod
        self.uid = uid_of(pod)
        self._machinery = machinery
        self._on_gone = on_gone
        settings = machinery.settings
        folder = settings.state / "pods" / self.uid / str(user_container(spec_of(pod)).get("name"))
        self.log = ContainerLog(
            folder, max_bytes=settings.log_max_bytes, files_max=settings.log_files_max
        )
        policy = spec_of(pod).get("restartPolicy") or "Always"
        self._machine = life.PodMachine(policy, settings.drain_s)
        self._process: _Process | None = None
        self._tasks = TaskGroup()
        self._status = StatusWriter(machinery.client, lambda: self.pod, self._describe)
        self._tasks.start(self._status.run(), name=f"status {name_of(pod)}")
        self._deleting = False

    @property
    def _called(self) -> str:
        """How kubelet's messages name the pod."""
        return f"{name_of(self.pod)}_{namespace_of(self.pod)}({self.uid})"

    @property
    def packages(self) -> set[str]:
        """Names of the packages that it uses."""
        return self._process.packages if self._process else set()

    @property
    def meant(self) -> Wire:
        """The pod as it is to be, also after a claim."""
        return self._meant(self._process) if self._process is not None else self.pod

    def container(self, name: str = "") -> EnteredContainer | None:
        """What can be entered of a pod that runs; its one container may go unnamed."""
        process, own = self._process, user_container(spec_of(self.pod)).get("name")
        if process is None or not process.pid or name not in ("", own):
            return None
        ports = {container_port(spec_of(self._meant(process))): self._port_of(process)}
        return EnteredContainer(self._inside(process), self.log, ports)

    @property
    def where(self) -> tuple[list[str], int] | None:
        """The cgroups and the first process of a pod that runs."""
        process = self._process
        return (process.cgroups, process.pid) if process is not None and process.pid else None

    def log_of(self, container: str) -> ContainerLog | None:
        """The log of its one container."""
        own = user_container(spec_of(self.pod)).get("name")
        return self.log if container == own else None

    def offer(self, pod: Wire) -> None:
        """The API's newest word on the pod; it may have moved to another namespace."""
        has_moved = namespace_of(pod) != namespace_of(self.pod)
        self.pod = pod
        if has_moved:
            self._status.moved()
        meta = metadata(pod)
        if meta.get("deletionTimestamp"):
            grace_s = float(meta.get("deletionGracePeriodSeconds") or 0)
            if not self._deleting or grace_s == 0:
                self._deleting = True
                self.feed(life.Delete(grace_s, REVISION_LABEL in labels_of(pod)))
        elif self._machine.state == "new":
            reason, message = refusal(spec_of(pod))
            if not reason:
                reason, message = codeless(pod)
            if reason:
                self._refuse(reason, message)
                return
            networks = self._machinery.network is not None
            if ignored := without_effect(spec_of(pod), networks=networks):
                said = f"{', '.join(ignored)}: has no effect on a process"
                self._machinery.events.record(pod, "Warning", "WithoutEffect", said)
            self.feed(life.Asked())

    def vanish(self) -> None:
        """The object is gone without having been asked for its end: so goes the pod."""
        self._deleting = True
        self.feed(life.Delete(0.0, routed=False))

    def feed(self, event: life.Event) -> None:
        """Apply an event and carry out what follows."""
        for effect in self._machine.on(event):
            self._carry_out(effect)
        self._machine.check()

    async def close(self) -> None:
        """Stop looking after the pod; its process ends with the zygote."""
        await self._tasks.close()
        if self._process is not None and self._process.writer is not None:
            self._process.writer.close()
        self.log.close()

    def _carry_out(self, effect: life.Effect) -> None:
        match effect:
            case life.Start():
                self._tasks.start(self._start(), name=f"start {name_of(self.pod)}")
            case life.Report():
                self._status.changed()
            case life.Terminate():
                self._signal(signal.SIGTERM)
            case life.Kill():
                self._purge()
            case life.Drain(least_s, most_s):
                self._tasks.start(self._drain(least_s, most_s), name=f"drain {name_of(self.pod)}")
            case life.Later(after_s, event):
                loop = asyncio.get_running_loop()
                loop.call_later(after_s, self.feed, event)
            case life.Forget():
                self._tasks.start(self._forget(), name=f"forget {name_of(self.pod)}")

    # Starting

    def _refuse(self, reason: str, message: str, event: str = "Failed") -> None:
        self._machinery.events.record(self.pod, "Warning", event, message)
        self.feed(life.Refused(reason, message))

    async def _start(self) -> None:
        try:
            await patiently(lambda: self._machinery.volumes.materialise(self.pod))
            spec = None if is_warm(self.pod) else await patiently(self._specialisation)
        except VolumeFault as error:
            self._refuse("ContainerCreating", str(error), "FailedMount")
            return
        except (EnvironmentFault, ApiError, ConnectionError) as error:
            self._refuse("CreateContainerConfigError", str(error))
            return
        try:
            await self._spawn(spec)
        except (ZygoteDied, NetworkUnavailable, OSError) as error:
            self._exited_with(1, "StartError", f"the pod could not be started: {error}")

    async def _specialisation(self) -> Specialisation:
        """What an ordinary pod becomes.

        Raises:
            EnvironmentFault: something that its environment names is missing.
        """
        pod, namespace = self.pod, namespace_of(self.pod)
        container = user_container(spec_of(pod))
        if fault := identity_of(spec_of(pod), container).fault(os.geteuid()):
            said = (
                f'(pod: "{name_of(pod)}_{namespace}({self.uid})", container: {container["name"]})'
            )
            raise EnvironmentFault(f"{fault} {said}")
        host_ip, client = self._machinery.settings.host, self._machinery.client
        env = await container_environment(client, pod, container, host_ip=host_ip)
        revision = f"{namespace}/{labels_of(pod).get(REVISION_LABEL) or name_of(pod)}"
        return specialisation_of(spec_of(pod), annotations_of(pod), env, revision)

    async def _spawn(self, spec: Specialisation | None) -> None:
        machinery, pod = self._machinery, self.pod
        container = user_container(spec_of(pod))
        plain = {v["name"]: v.get("value", "") for v in container.get("env") or ()}
        process = _Process(name_of(pod), spec, group=f"{self.uid}.{self._machine.restarts}")
        self._process = process
        if machinery.cgroups is not None:
            limits = Limits.of(container.get("resources") or {}, machinery.settings.pids_max)
            process.cgroups = machinery.cgroups.make(process.group, limits)
        own_network = machinery.network is not None
        ours, theirs = socket.socketpair()
        out, err = self.log.start_run()
        reader, process.writer = await asyncio.open_connection(sock=ours)
        request = {
            "cgroups": process.cgroups,
            "netns": own_network,
            "pod": {
                "name": name_of(pod),
                "title": self._title(),
                "secret_digest": plain.get(SECRET_DIGEST_VARIABLE, ""),
                "host": "0.0.0.0" if own_network else "127.0.0.1",
                "app_port": container_port(spec_of(pod)) if own_network else 0,
                "control_port": CONTROL_PORT if own_network else 0,
            },
        }
        preload = [name for name in plain.get(PRELOAD_VARIABLE, "").split(",") if name]
        fds = [theirs.fileno(), out, err]
        try:
            process.pid = await machinery.zygotes.spawn(
                self.uid, request, fds, preload, lambda status: self._exited(process, status)
            )
        finally:
            theirs.close()
            for fd in (out, err):
                with contextlib.suppress(OSError):
                    os.close(fd)
        self.feed(life.Placed(time.time()))
        self._tasks.start(self._converse(process, reader), name=f"channel {name_of(pod)}")

    def _title(self) -> str:
        pool = labels_of(self.pod).get(PODPOOL_LABEL)
        return f"hearth loader {pool}" if pool else f"hearth loader {name_of(self.pod)}"

    async def _converse(self, process: _Process, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                await self._hear(process, json.loads(line))

    async def _hear(self, process: _Process, message: dict[str, Any]) -> None:
        match message["op"]:
            case "tail":
                self._say(process, op="tail", text=self.log.tail())
            case "listening":
                self._listening(process)
            case "failed":
                process.failure = str(message["message"])
            case _ if process.sealed:  # from now on it may be the app that speaks
                return
            case "netns":
                assert self._machinery.network is not None
                await self._attach(process, self._machinery.network)
            case "ready":
                await self._warm(process, message)
            case "fetch":
                await self._fetch(process, Package(message["url"], message["digest"]))
            case "become":
                await self._become(process, message)
            case "sealed":
                process.sealed = True

    async def _attach(self, process: _Process, network: Network) -> None:
        try:
            wired = await network.attach(process.pid)
        except (NetworkUnavailable, OSError) as error:
            process.failure = f"the pod could not be given a network: {error}"
            self._signal(signal.SIGKILL)
            return
        process.ip = wired.ip
        etc = self._write_etc(process, network)
        self._say(process, op="go", **asdict(wired), etc=etc)

    def _write_etc(self, process: _Process, network: Network) -> dict[str, str]:
        """Write what the process reads names from; each file by its place in the pod.

        A claimed pod's are written anew: it asks in the search path of another namespace.
        """
        pod = self._meant(process)
        resolving = resolving_of(pod, network.gateway)
        texts = {
            "resolv.conf": RESOLV_CONF.read_text() if resolving is None else resolving.text(),
            "hosts": hosts_text(pod, process.ip),
        }
        folder = self._machinery.settings.state.resolve() / "pods" / self.uid
        for name, text in texts.items():
            (folder / name).write_text(text)
        return {f"/etc/{name}": str(folder / name) for name in texts}

    async def _warm(self, process: _Process, message: dict[str, Any]) -> None:
        process.app_port = message["appPort"]
        if self._machinery.network is None:
            await self._note_ports(message)
        else:
            await self._machinery.network.settle(process.ip)
        if process.spec is None:
            self._ready(process)
        else:
            self._want_front(process)
            self._say(process, op="specialise", spec=json.loads(process.spec.to_json()))

    async def _note_ports(self, message: dict[str, Any]) -> None:
        """Say in the pod where it really listens: on loopback each run has ports of its own."""
        ports = {
            APP_PORT_ANNOTATION: str(message["appPort"]),
            CONTROL_PORT_ANNOTATION: str(message["controlPort"]),
        }
        failures = 0
        while True:
            pod = self.pod
            try:
                self.pod = await self._machinery.client.patch(
                    POD,
                    namespace_of(pod),
                    name_of(pod),
                    {"metadata": {"uid": self.uid, "annotations": ports}},
                )
            except NotFound:
                return
            except (ApiError, ConnectionError) as error:
                failures += 1
                facts = {"pod": name_of(pod), "because": str(error)}
                log.warning("ports not written", extra={"f": facts})
                await asyncio.sleep(backoff_s(failures, base_s=0.05, max_s=5))
            else:
                return

    async def _fetch(self, process: _Process, package: Package) -> None:
        try:
            path = await self._machinery.cache.get(package)
        except CodeError as error:
            self._say(process, op="fetched", reason=error.reason, message=error.message)
        else:
            process.packages.add(cache_name(package))
            self._say(process, op="fetched", path=str(path))

    async def _become(self, process: _Process, message: dict[str, Any]) -> None:
        """Learn what a claim made of the pod; say where its volumes are, if it has some."""
        process.claimed = message["pod"]
        process.environment = {"PATH": os.defpath, **kept_environment(), **message["environment"]}
        if self._machinery.network is not None:
            self._write_etc(process, self._machinery.network)
        self._want_front(process)
        if not message["mounts"]:
            return
        try:
            pod = self._meant(process)
            paths = await patiently(lambda: self._machinery.volumes.materialise(pod))
            binds = mounts_of(user_container(spec_of(pod)), paths, message["environment"])
        except (VolumeFault, ApiError, ConnectionError) as error:
            self._machinery.events.record(self.pod, "Warning", "FailedMount", str(error))
            self._say(process, op="mounted", reason="FailedMount", message=str(error))
        else:
            found = [(str(bind.source), bind.target, bind.read_only) for bind in binds]
            self._say(process, op="mounted", binds=found)

    def _want_front(self, process: _Process) -> None:
        """From now on it is known whose pod it is, and where its app listens."""
        pod, fronts = self._meant(process), self._machinery.fronts
        port = container_port(spec_of(pod))
        network = f"/proc/{process.pid}/ns/net" if self._machinery.network is not None else ""
        front = Front(self.uid, namespace_of(pod), process.ip, port, network)
        fronts.want(front, self._status.changed)

    def _meant(self, process: _Process) -> Wire:
        """The pod as it is to be: a claimed one has its pool's spec for ever, but is another."""
        claimed = process.claimed
        if claimed is None:
            return self.pod
        meta = {**metadata(claimed), "name": name_of(self.pod), "uid": self.uid}
        spec = {**spec_of(claimed), "nodeName": spec_of(self.pod).get("nodeName")}
        return {**self.pod, "metadata": meta, "spec": spec}

    def _say(self, process: _Process, **message: Any) -> None:
        assert process.writer is not None
        process.writer.write(json.dumps(message).encode() + b"\n")

    # Readiness

    def _listening(self, process: _Process) -> None:
        """The app answers: from now on its probes say how it is.

        A TCP probe for readiness has been answered by that; a warm pod has been ready all along.
        """
        spec = spec_of(self._meant(process))
        container = user_container(spec)
        probe = container.get("readinessProbe") or {}
        if "tcpSocket" in probe:
            container.pop("readinessProbe")
        probing = run_probes(
            container,
            spec,
            container_port(spec),
            lambda: self._where(process),
            _Heard(self, process),
        )
        self._tasks.start(probing, name=f"probes of {name_of(self.pod)}")

    def _ready(self, process: _Process) -> None:
        if self._process is process:
            self.feed(life.BecameReady())

    def _where(self, process: _Process) -> Where:
        heard = partial(self._machinery.probe_log.heard, self.pod)
        return Where(process.ip, self._port_of(process), self._inside(process).run, heard)

    def _port_of(self, process: _Process) -> int:
        """Where the app listens: with a network of its own, where its spec says."""
        if self._machinery.network is None:
            return process.app_port
        return container_port(spec_of(self._meant(process)))

    def _inside(self, process: _Process) -> Inside:
        return Inside(process.pid, process.cgroups, process.environment)

    def heard_ready(self, process: _Process, is_ready: bool) -> None:
        """A readiness probe's standing has changed."""
        if self._process is process:
            self.feed(life.BecameReady() if is_ready else life.LostReadiness())

    def heard_unhealthy(self, kind: str, why: str) -> None:
        """A probe failed."""
        said = f"{kind} probe failed: {why}"
        self._machinery.events.record(self.pod, "Warning", "Unhealthy", said)

    def heard_condemned(self, process: _Process, kind: str, why: str, grace_s: float) -> None:
        """A container must go: it is asked to, and then made to."""
        if self._process is not process:
            return
        name = user_container(spec_of(self.pod)).get("name")
        failed = f"Container {name} failed {kind.lower()} probe"
        self._machinery.events.record(self.pod, "Normal", "Killing", f"{failed}, will be restarted")
        process.failure = f"{kind} probe failed: {why}\n{self.log.tail()}"
        self._signal(signal.SIGTERM)
        asyncio.get_running_loop().call_later(grace_s, self._kill_if_still, process)

    def _kill_if_still(self, process: _Process) -> None:
        if self._process is process:
            self._signal(signal.SIGKILL)

    # Ending

    async def _drain(self, least_s: float, most_s: float) -> None:
        if (process := self._process) is not None:
            await drained(process.pid, self._port_of(process), least_s=least_s, most_s=most_s)
        self.feed(life.DrainOver())

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.pid:
            self._machinery.zygotes.kill(self._process.pid, number)

    def _purge(self) -> None:
        process = self._process
        if process is not None and process.pid:
            self._machinery.zygotes.purge(process.pid, process.name, process.cgroups)

    def _exited(self, process: _Process, status: int) -> None:
        if self._process is not process:
            return
        cgroups = self._machinery.cgroups
        tail = self.log.tail()
        killed = status in (-signal.SIGKILL, 128 + signal.SIGKILL)  # itself, or what it waited for
        if killed and cgroups is not None and cgroups.was_oom_killed(process.group):
            self._exited_with(status, "OOMKilled", f"out of memory\n{tail}".strip())
        else:
            reason = "Completed" if status == 0 else "Error"
            self._exited_with(status, reason, process.failure or (tail if status else ""))

    def _exited_with(self, status: int, reason: str, message: str) -> None:
        process = self._process
        self.feed(life.Exited(time.time(), status, reason, message[-4096:]))
        if self._machine.waiting_reason == "CrashLoopBackOff" and self._machine.pause_s:
            container = user_container(spec_of(self.pod)).get("name")
            said = f"Back-off restarting failed container {container} in pod {self._called}"
            self._machinery.events.record(self.pod, "Warning", "BackOff", said)
        if process is not None:
            self._machinery.fronts.forget(self.uid)
            if process.writer is not None:
                process.writer.close()
            if self._machinery.network is not None and process.ip != "127.0.0.1":
                self._machinery.network.release(process.ip)
            self._machinery.zygotes.forget(process.pid)
        if self._process is process:
            self._process = None

    async def _forget(self) -> None:
        """Remove the object; then the worker is done."""
        await remove_object(self._machinery.client, self.pod)
        self._on_gone(self.uid)

    def _describe(self, at: str) -> Wire:
        pod, process = self.pod, self._process
        ip = process.ip if process is not None and self._machine.state != "starting" else ""
        status = pod_status(pod, self._machine, ip, self._machinery.settings.host, at, _time)
        return with_tls(status, pod, at, self._machinery.fronts.standing_of(self.uid))


def _time(seconds: float) -> str:
    return rfc3339(datetime.fromtimestamp(seconds, UTC))
