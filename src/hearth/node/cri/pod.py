"""One pod of containers: sandbox, init containers, containers, probes, status, end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from hearth.api.errors import ApiError
from hearth.api.inside import Front
from hearth.api.meta import Wire, labels_of, metadata, name_of, namespace_of, spec_of, uid_of
from hearth.api.names import REVISION_LABEL
from hearth.api.pods import container_port
from hearth.client.patience import patiently
from hearth.kit.backoff import backoff_s
from hearth.kit.tasks import TaskGroup
from hearth.kit.times import rfc3339
from hearth.node.cgroups import Limits
from hearth.node.core.containers import Container, Place, status_of_pod
from hearth.node.core.etc import hosts_text
from hearth.node.core.fronts import with_tls
from hearth.node.core.lifecycle import LAST_WORDS_S, Ended
from hearth.node.core.storage import Used, on_disk
from hearth.node.cri import api_pb2 as pb
from hearth.node.cri.client import CriError
from hearth.node.cri.configs import container_config, sandbox_config
from hearth.node.cri.containerd import remove_sandbox
from hearth.node.cri.entering import InsideContainer
from hearth.node.cri.images import ImageFault
from hearth.node.cri.runtime import (
    ContainerRuntime,
    NoContainerRuntime,
    NoSuchHandler,
    Opened,
)
from hearth.node.disk import bytes_below
from hearth.node.draining import drained
from hearth.node.entering import EnteredContainer
from hearth.node.environment import EnvironmentFault, container_environment
from hearth.node.logs import LogFiles, RuntimeLog, tail_of
from hearth.node.probing import Where, run_probes
from hearth.node.statuses import StatusWriter, remove_object
from hearth.node.volumes import Mount, VolumeFault, mounts_of

log = logging.getLogger(__name__)

_RETRY_MAX_S = 120.0
_SANDBOX_TRIES = 3  #: that fail until whoever waits for the pod is told; it is tried on
_PULL_AGAIN_S = 10.0  #: after a failed pull, doubled up to 300 s (kubelet's)
_SAID_AS_FAILED_S = 2.0  #: for how long a failed pull is ErrImagePull, before it is a back-off
_MESSAGE_MAX = 4096
_FALLBACK_BYTES = 2048  #: of the log, for a container that leaves no message (kubelet's)


class ContainerPod:
    """One pod, known by its UID. ``offer`` tells it what the API says."""

    def __init__(
        self, pod: Wire, runtime: ContainerRuntime, on_gone: Callable[[str], None]
    ) -> None:
        self.pod = pod
        self.uid = uid_of(pod)
        self.packages: set[str] = set()
        self._runtime = runtime
        self._on_gone = on_gone
        spec = spec_of(pod)
        self._inits = [Container(c, init=True) for c in spec.get("initContainers") or ()]
        self._apps = [Container(c) for c in spec.get("containers") or ()]
        if self._inits:
            for container in self._apps:
                container.reason = "PodInitializing"
        self._folder = runtime.settings.state.resolve() / "pods" / self.uid
        self._started = {c.name: asyncio.Event() for c in self._all}
        self._logs = {c.name: RuntimeLog(self._folder / c.name) for c in self._all}
        self._policy = str(spec.get("restartPolicy") or "Always")
        self._opened: Opened | None = None
        self._sandbox = ""
        self._sandbox_config: Any = None
        self._ip = ""
        self._paths: dict[str, Any] = {}
        self._pid = 0  #: of what holds its namespaces
        self._cgroups: list[str] = []
        self._deleting = False
        self._evicted = ""  #: why it was
        self._hurry = asyncio.Event()
        self._status = StatusWriter(runtime.client, lambda: self.pod, self._describe)
        self._tasks = TaskGroup()
        self._tasks.start(self._status.run(), name=f"status {name_of(pod)}")
        self._life: asyncio.Task[None] | None = None
        self._end: asyncio.Task[None] | None = None

    @property
    def _all(self) -> list[Container]:
        return [*self._inits, *self._apps]

    @property
    def meant(self) -> Wire:
        """The pod as it is to be."""
        return self.pod

    def container(self, name: str = "") -> EnteredContainer | None:
        """What can be entered of one of its containers; unnamed, of the first."""
        found = next((c for c in [*self._apps, *self._inits] if name in ("", c.name)), None)
        if found is None or found.state != "running" or self._opened is None:
            return None
        inside = InsideContainer(self._opened.socket, found.id, self._pid)
        return EnteredContainer(inside, self._logs[found.name], {})

    @property
    def where(self) -> tuple[list[str], int] | None:
        """The cgroups and a process of a pod that runs."""
        return (self._cgroups, self._pid) if self._sandbox and self._cgroups else None

    def log_of(self, container: str) -> RuntimeLog | None:
        """The log of one of its containers."""
        return self._logs.get(container)

    def offer(self, pod: Wire) -> None:
        """The API's newest word on the pod."""
        self.pod = pod
        meta = metadata(pod)
        if meta.get("deletionTimestamp"):
            grace_s = float(meta.get("deletionGracePeriodSeconds") or 0)
            if grace_s == 0:
                self._hurry.set()
            self._delete(grace_s)
        elif self._life is None:
            self._life = asyncio.create_task(self._live(), name=f"pod {name_of(pod)}")
            self._life.add_done_callback(self._ended_by)

    def vanish(self) -> None:
        """The object is gone without having been asked for its end: so goes the pod."""
        self._hurry.set()
        self._delete(0.0)

    async def close(self) -> None:
        """Stop looking after the pod, and end what runs of it."""
        for task in (self._life, self._end):
            if task is not None and task is not asyncio.current_task():
                task.cancel()
                await asyncio.wait([task])
        await self._tasks.close()
        await self._remove()

    def _ended_by(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            facts = {"pod": name_of(self.pod)}
            log.error("pod is not looked after", extra={"f": facts}, exc_info=error)

    def _event(self, kind: str, reason: str, message: str) -> None:
        self._runtime.events.record(self.pod, kind, reason, message)

    # Starting

    async def _live(self) -> None:
        self._status.changed()
        await self._make_sandbox()
        async with asyncio.TaskGroup() as group:
            for container in self._inits:
                if container.sidecar:
                    group.create_task(self._keep(container))
                    await self._started[container.name].wait()
                elif await self._keep(container):
                    return
            for container in self._apps:
                group.create_task(self._keep(container))

    async def _make_sandbox(self) -> None:
        failures = 0
        while True:
            try:
                self._opened = await self._runtime.open()
                self._paths = dict(
                    await patiently(lambda: self._runtime.volumes.materialise(self.pod))
                )
                await self._run_sandbox(self._opened, failures)
            except NoContainerRuntime as error:
                said = f"this node has no container runtime: {error}"
                self._wait_all("NoContainerRuntime", said, "Failed")
            except VolumeFault as error:
                self._wait_all("ContainerCreating", str(error), "FailedMount")
            except NoSuchHandler as error:
                said = f"Failed to create pod sandbox: {error}"
                self._wait_all("CreatePodSandboxError", said, "FailedCreatePodSandBox")
            except (CriError, OSError) as error:
                said = f"Failed to create pod sandbox: {error}"
                hopeless = failures + 1 >= _SANDBOX_TRIES
                reason = "CreatePodSandboxError" if hopeless else "ContainerCreating"
                self._wait_all(reason, said, "FailedCreatePodSandBox")
            else:
                return
            failures += 1
            await asyncio.sleep(backoff_s(failures, base_s=1, max_s=_RETRY_MAX_S))

    def _wait_all(self, reason: str, message: str, event: str) -> None:
        for container in self._all:
            container.waits(reason, message)
        self._event("Warning", event, message)
        self._status.changed()

    async def _run_sandbox(self, opened: Opened, attempt: int) -> None:
        runtime, pod = self._runtime, self.pod
        parent = ""
        if runtime.cgroups is not None and not self._cgroups:
            apps = (Limits.of(c.get("resources") or {}, 0) for c in spec_of(pod)["containers"])
            cpus = sum(limits.cpus_requested or 0 for limits in apps)
            limits = Limits(None, None, runtime.settings.pids_max, cpus)
            self._cgroups = runtime.cgroups.make(self.uid, limits)
        if runtime.cgroups is not None:
            parent = runtime.cgroups.name_of(self.uid)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sandbox_config = sandbox_config(
            pod, str(self._folder), parent, attempt, runtime.resolving_of(pod)
        )
        request = pb.RunPodSandboxRequest(
            config=self._sandbox_config, runtime_handler=await self._handler()
        )
        self._sandbox = (await opened.cri.call("RunPodSandbox", request)).pod_sandbox_id
        asked = pb.PodSandboxStatusRequest(pod_sandbox_id=self._sandbox, verbose=True)
        told = await opened.cri.call("PodSandboxStatus", asked)
        self._ip = told.status.network.ip or runtime.settings.host
        self._pid = int(json.loads(told.info["info"])["pid"])
        (self._folder / "hosts").write_text(hosts_text(pod, self._ip))
        port, network = container_port(spec_of(pod)), f"/proc/{self._pid}/ns/net"
        front = Front(self.uid, namespace_of(pod), self._ip, port, network)
        runtime.fronts.want(front, self._status.changed)

    async def _handler(self) -> str:
        """The runtime handler of the pod's RuntimeClass."""
        return await self._runtime.handler_of(spec_of(self.pod).get("runtimeClassName") or "")

    # A container

    async def _keep(self, container: Container) -> int:
        """Run the container as often as its policy says; returns how it ended for good."""
        failures = 0
        while True:
            try:
                ended = await self._run(container)
                failures = 0
            except (ImageFault, EnvironmentFault, VolumeFault, ApiError, CriError, OSError) as why:
                failures += 1
                await self._wait_after(container, why, failures)
                continue
            container.ends(ended)
            self._status.changed()
            if not container.restarts_after(self._policy, ended.code):
                return ended.code
            pause_s = container.pause_s(ended.ended_s)
            container.restarts += 1
            where = f"{name_of(self.pod)}_{namespace_of(self.pod)}({self.uid})"
            said = f"back-off {pause_s:g}s restarting failed container={container.name} pod={where}"
            if pause_s:
                container.waits("CrashLoopBackOff", said)
                self._event("Warning", "BackOff", said)
                self._status.changed()
            await asyncio.sleep(pause_s)

    async def _wait_after(self, container: Container, why: Exception, failures: int) -> None:
        """Say why the container cannot be started, and pause."""
        pause_s = backoff_s(failures, base_s=1, max_s=_RETRY_MAX_S)
        match why:
            case ImageFault(reason=reason, message=message):
                container.waits(reason, message)
                self._status.changed()
                if reason == "ErrImagePull":
                    await asyncio.sleep(_SAID_AS_FAILED_S)
                    said = f'Back-off pulling image "{container.spec.get("image")}"'
                    container.waits("ImagePullBackOff", f"{said}: {reason}: {message}")
                    self._event("Normal", "BackOff", said)
                pause_s = backoff_s(failures, base_s=_PULL_AGAIN_S, max_s=300)
            case CriError():
                container.waits("CreateContainerError", why.details)
                self._event("Warning", "Failed", f"Error: {why.details}")
            case _:
                container.waits("CreateContainerConfigError", str(why))
                self._event("Warning", "Failed", f"Error: {why}")
        self._status.changed()
        await asyncio.sleep(pause_s)

    async def _run(self, container: Container) -> Ended:
        """One run of the container, from its image to its end."""
        assert self._opened is not None
        cri, run = self._opened.cri, container.restarts
        self._keep_two_runs(container)
        image = await self._opened.images.ensure(self.pod, container.spec)
        self._check_user(container, image)
        environment = await container_environment(
            self._runtime.client,
            self.pod,
            container.spec,
            ip=self._ip,
            host_ip=self._runtime.settings.host,
        )
        mounts = self._mounts(container, environment)
        config = container_config(self.pod, container.spec, image.id, environment, mounts, run)
        previous = container.id
        created = pb.CreateContainerRequest(
            pod_sandbox_id=self._sandbox, config=config, sandbox_config=self._sandbox_config
        )
        container.id = (await cri.call("CreateContainer", created)).container_id
        container.image_id = (list(image.repo_digests) or [image.id])[0]
        if previous:
            await self._remove_container(previous)
        started_s = time.time()
        try:
            await cri.call("StartContainer", pb.StartContainerRequest(container_id=container.id))
        except CriError as error:
            self._event("Warning", "Failed", f"Error: {error.details}")
            return Ended(128, "StartError", error.details[:_MESSAGE_MAX], started_s, time.time())
        container.runs(time.time())
        self._logs[container.name].open_run = run
        self._event("Normal", "Started", f"Started container {container.name}")
        self._status.changed()
        looking_after = asyncio.create_task(self._look_after(container))
        try:
            status = await cri.exited(container.id)
        finally:
            looking_after.cancel()
            self._logs[container.name].open_run = -1
            await asyncio.wait([looking_after])
        return self._end_of(container, status, run)

    def _check_user(self, container: Container, image: Any) -> None:
        """Refuse root where the spec says so (kubelet's verifyRunAsNonRoot)."""
        merged = {
            **(spec_of(self.pod).get("securityContext") or {}),
            **(container.spec.get("securityContext") or {}),
        }
        if not merged.get("runAsNonRoot"):
            return
        where = f'pod: "{name_of(self.pod)}_{namespace_of(self.pod)}({self.uid})"'
        where += f", container: {container.name}"
        user = merged.get("runAsUser")
        if user == 0:
            raise EnvironmentFault(f"container's runAsUser breaks non-root policy ({where})")
        if user is None and image.username:
            said = f"image has non-numeric user ({image.username}), cannot verify user is non-root"
            raise EnvironmentFault(f"container has runAsNonRoot and {said} ({where})")
        if user is None and image.uid.value == 0:
            said = "container has runAsNonRoot and image will run as root"
            raise EnvironmentFault(f"{said} ({where})")

    def _mounts(self, container: Container, environment: dict[str, str]) -> list[Mount]:
        mounts = mounts_of(container.spec, self._paths, environment)
        said = self._message_file(container)
        said.parent.mkdir(parents=True, exist_ok=True)
        said.write_bytes(b"")
        said.chmod(0o666)
        own = [Mount(said, _message_path(container), read_only=False)]
        targets = {mount.target for mount in mounts}
        if "/etc/hosts" not in targets and not spec_of(self.pod).get("hostNetwork"):
            own.append(Mount(self._folder / "hosts", "/etc/hosts", read_only=False))
        return [*mounts, *own]

    def _message_file(self, container: Container) -> Any:
        return self._folder / container.name / f"message-{container.restarts}"

    def _end_of(self, container: Container, status: Any, run: int) -> Ended:
        message = (
            self._message_file(container).read_bytes()[-_MESSAGE_MAX:].decode(errors="replace")
        )
        code = int(status.exit_code)
        by_log = container.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        serving = REVISION_LABEL in labels_of(self.pod)  # Knative's pods all fall back
        if not message and code and (by_log or serving):
            files = LogFiles(self._folder / container.name)
            message = tail_of(files, run)[-_FALLBACK_BYTES:]
        reason = status.reason or ("Completed" if code == 0 else "Error")
        started_s, ended_s = status.started_at / 1e9, status.finished_at / 1e9
        return Ended(code, reason, message, started_s, ended_s)

    def _keep_two_runs(self, container: Container) -> None:
        files = LogFiles(self._folder / container.name)
        for run in files.runs()[:-1]:
            for path in files.parts(run):
                path.unlink(missing_ok=True)

    async def _remove_container(self, container_id: str) -> None:
        assert self._opened is not None
        with contextlib.suppress(CriError):
            request = pb.RemoveContainerRequest(container_id=container_id)
            await self._opened.cri.call("RemoveContainer", request)

    # While it runs

    async def _look_after(self, container: Container) -> None:
        hook = (container.spec.get("lifecycle") or {}).get("postStart") or {}
        if command := (hook.get("exec") or {}).get("command"):
            code, said = await self.run_in(container, command)
            if code:
                message = f"Exec lifecycle hook ({command}) failed: {said}"
                self._event("Warning", "FailedPostStartHook", message)
                await self._stop(container, 30)
                return
        port = container_port({"containers": [container.spec]})
        heard = _Heard(self, container)
        if not container.spec.get("startupProbe"):
            self._note_start(container)
        await run_probes(
            container.spec, spec_of(self.pod), port, lambda: self._where_of(container, port), heard
        )

    def _where_of(self, container: Container, port: int) -> Where:
        told = self._runtime.probe_log
        heard = partial(told.heard, self.pod) if told is not None else None
        return Where(self._ip, port, lambda command: self.run_in(container, command), heard)

    async def run_in(self, container: Container, command: Sequence[str]) -> tuple[int, str]:
        """Run a command in the container; returns its exit code and what it printed."""
        assert self._opened is not None
        request = pb.ExecSyncRequest(container_id=container.id, cmd=list(command))
        try:
            done = await self._opened.cri.call("ExecSync", request)
        except CriError as error:
            return 126, error.details
        return int(done.exit_code), (done.stdout + done.stderr).decode(errors="replace")

    def _note_start(self, container: Container) -> None:
        container.started = True
        self._started[container.name].set()

    def heard_ready(self, container: Container, is_ready: bool) -> None:
        """A container's readiness has changed."""
        self._note_start(container)
        if container.state == "running" and not self._deleting:
            container.ready = is_ready
            self._status.changed()

    def heard_unhealthy(self, kind: str, why: str) -> None:
        """A probe failed."""
        self._event("Warning", "Unhealthy", f"{kind} probe failed: {why}")

    def heard_condemned(self, container: Container, kind: str, why: str, grace_s: float) -> None:
        """A container must go: it is asked to, and then made to."""
        said = f"Container {container.name} failed {kind.lower()} probe, will be restarted"
        self._event("Normal", "Killing", said)
        self._tasks.start(self._stop(container, grace_s), name=f"end {container.name}")

    # Disk

    async def storage(self) -> Used:
        """What the pod takes of the disk."""
        layers = {one.name: await self._layer_bytes(one) for one in self._apps}
        logs = {name: await bytes_below(self._folder / name) for name in layers}
        volumes = {
            name: await bytes_below(self._paths[name])
            for name in on_disk(spec_of(self.pod))
            if name in self._paths
        }
        return Used({name: layers[name] + logs[name] for name in layers}, volumes)

    async def _layer_bytes(self, container: Container) -> int:
        """What a container wrote outside its volumes; the runtime knows it 10 s late."""
        if container.state != "running" or self._opened is None:
            return 0
        request = pb.ContainerStatsRequest(container_id=container.id)
        try:
            found = await self._opened.cri.call("ContainerStats", request)
        except CriError:  # it has just ended
            return 0
        return int(found.stats.writable_layer.used_bytes.value)

    def evict(self, message: str) -> None:
        """End the pod for good, at once; its owner makes another."""
        if not self._deleting and not self._evicted:
            self._evicted = message
            self._event("Warning", "Evicted", message)
            self._tasks.start(self._put_out(), name=f"evict {name_of(self.pod)}")

    async def _put_out(self) -> None:
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait([self._life])
        for container in self._all:
            if container.state == "running":
                await self._stop(container, 0)
                ended = Ended(137, "Error", self._evicted, container.started_s, time.time())
                container.ends(ended)
        self._status.changed()
        await self._remove()

    # Ending

    def _delete(self, grace_s: float) -> None:
        if not self._deleting:
            self._deleting = True
            self._end = asyncio.create_task(self._finish(grace_s), name=f"end {name_of(self.pod)}")
            self._end.add_done_callback(self._ended_by)

    async def _finish(self, grace_s: float) -> None:
        was_ready = all(container.ready for container in self._apps)
        for container in self._all:
            container.ready = False
        self._status.changed()
        left_s = grace_s
        if REVISION_LABEL in labels_of(self.pod) and was_ready and grace_s:
            left_s = await self._drain(grace_s)
        running = [container for container in self._apps if container.state == "running"]
        await asyncio.gather(*(self._stop(container, left_s) for container in running))
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait([self._life])
        await self._remove()
        await self._tasks.close()
        await remove_object(self._runtime.client, self.pod)
        self._on_gone(self.uid)

    async def _drain(self, grace_s: float) -> float:
        """Wait until its requests end, or haste is ordered; returns the grace that is left."""
        begun, least_s = time.monotonic(), self._runtime.settings.drain_s
        port = container_port(spec_of(self.pod))
        draining = asyncio.create_task(
            drained(self._pid, port, least_s=least_s, most_s=least_s + grace_s)
        )
        hurried = asyncio.create_task(self._hurry.wait())
        await asyncio.wait([draining, hurried], return_when=asyncio.FIRST_COMPLETED)
        draining.cancel()
        hurried.cancel()
        await asyncio.wait([draining, hurried])
        return max(LAST_WORDS_S, grace_s + least_s - (time.monotonic() - begun))

    async def _stop(self, container: Container, grace_s: float) -> None:
        """Ask it to end, and make it when its time is over or haste is ordered."""
        assert self._opened is not None
        hook = ((container.spec.get("lifecycle") or {}).get("preStop") or {}).get("exec") or {}
        begun = time.monotonic()
        if grace_s and (command := hook.get("command")):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self.run_in(container, command)
        left_s = max(0.0, grace_s - (time.monotonic() - begun))
        asking = asyncio.create_task(self._ask_to_stop(container, left_s))
        hurried = asyncio.create_task(self._hurry.wait())
        await asyncio.wait([asking, hurried], return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            await self._ask_to_stop(container, 0)
        hurried.cancel()
        await asyncio.wait([asking, hurried])

    async def _ask_to_stop(self, container: Container, grace_s: float) -> None:
        assert self._opened is not None
        request = pb.StopContainerRequest(container_id=container.id, timeout=int(grace_s))
        with contextlib.suppress(CriError):
            await self._opened.cri.call("StopContainer", request, timeout_s=grace_s + 120)

    async def _remove(self) -> None:
        """Remove sandbox, containers, volumes and groups."""
        self._runtime.fronts.forget(self.uid)
        sandbox, self._sandbox = self._sandbox, ""
        if sandbox and self._opened is not None:
            try:
                await remove_sandbox(self._opened.cri, sandbox)
            except CriError as error:
                facts = {"pod": name_of(self.pod), "because": str(error)}
                log.warning("sandbox not removed", extra={"f": facts})
        await self._runtime.volumes.remove(self.uid)
        if self._runtime.cgroups is not None and self._cgroups:
            self._runtime.cgroups.remove(self.uid)
            self._cgroups = []

    # Status

    def _describe(self, now: str) -> Wire:
        place = Place(self._ip, self._runtime.settings.host, self._evicted)
        status = status_of_pod(self.pod, self._all, place, now, _time)
        return with_tls(status, self.pod, now, self._runtime.fronts.standing_of(self.uid))


class _Heard:
    """Takes what a container's probes find to its pod."""

    def __init__(self, pod: ContainerPod, container: Container) -> None:
        self._pod, self._container = pod, container

    def ready(self, is_ready: bool) -> None:
        """It may be sent requests, or may not."""
        self._pod.heard_ready(self._container, is_ready)

    def unhealthy(self, kind: str, why: str) -> None:
        """A probe failed."""
        self._pod.heard_unhealthy(kind, why)

    def condemn(self, kind: str, why: str, grace_s: float) -> None:
        """It must be ended."""
        self._pod.heard_condemned(self._container, kind, why, grace_s)


def _message_path(container: Container) -> str:
    return str(container.spec.get("terminationMessagePath") or "/dev/termination-log")


def _time(seconds: float) -> str:
    return rfc3339(datetime.fromtimestamp(seconds, UTC))
