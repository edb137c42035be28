"""A containerd of the node's own: its configuration, its start and its end.

It is private to the node (root, state, socket, network), so that nothing else on the machine sees
Hearth's images and containers, and it is started by the first pod that needs it: machines that
only run code packages pay nothing for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hearth.node.cri import api_pb2, pause
from hearth.node.cri.client import Cri, CriError
from hearth.node.network import PodNetwork

_START_S = 20.0
_CNI_FOLDERS = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")
_CNI_PLUGINS = ("loopback", "bridge", "host-local")
_LOADED = "hearth.dev/loaded"  #: label of images that no registry has
_PACKAGES = "install containerd, runc (or crun) and containernetworking-plugins"
#: Which shim runs a RuntimeClass's handler, where it is installed.
_SANDBOXES = {"runsc": "containerd-shim-runsc-v1", "kata": "containerd-shim-kata-v2"}
_SHIM_TYPES = {"runsc": "io.containerd.runsc.v1", "kata": "io.containerd.kata.v2"}


class NoContainerRuntime(Exception):
    """Containers cannot be run here; the message says what is missing."""


def missing() -> str:
    """What this machine lacks to run containers; empty when nothing."""
    if os.geteuid() != 0:
        return "containers need root"
    if shutil.which("containerd") is None:
        return f"containerd is not installed: {_PACKAGES}"
    if not _handlers():
        return f"neither runc nor crun is installed: {_PACKAGES}"
    if _cni_folder() is None:
        return f"no CNI plugins in {', '.join(_CNI_FOLDERS)}: {_PACKAGES}"
    return ""


def _cni_folder() -> str | None:
    for folder in _CNI_FOLDERS:
        if all((Path(folder) / plugin).exists() for plugin in _CNI_PLUGINS):
            return folder
    return None


def _handlers() -> dict[str, str]:
    """Path of what runs containers, by handler; the first is the default one."""
    found = {name: shutil.which(name) for name in ("runc", "crun")}
    return {name: path for name, path in found.items() if path}


def installed_handlers() -> list[str]:
    """The handlers that RuntimeClasses may name here."""
    return [*_handlers(), *(name for name, shim in _SANDBOXES.items() if shutil.which(shim))]


def lacks_of(handler: str) -> str:
    """What must be installed for a handler that is not; empty if nothing is known of it."""
    return f"{_SANDBOXES[handler]} is not in PATH" if handler in _SANDBOXES else ""


class Containerd:
    """The daemon. Belongs to one event loop."""

    def __init__(self, state: Path, network: PodNetwork) -> None:
        """Prepare one that keeps images and containers below ``state``."""
        self._state = state.resolve() / "containerd"
        self._network = network
        # Socket paths may have 107 characters: state may be deeper than that.
        name = hashlib.sha256(str(self._state).encode()).hexdigest()[:10]
        self._run = Path("/run/hearth") / name
        self._process: asyncio.subprocess.Process | None = None

    @property
    def socket(self) -> Path:
        """Where it answers."""
        return self._run / "containerd.sock"

    async def start(self) -> Cri:
        """Start it and return a client once it answers; what an earlier one left is removed.

        Raises:
            NoContainerRuntime: something is missing, or it does not start.
        """
        if lack := missing():
            raise NoContainerRuntime(lack)
        self._run.mkdir(parents=True, exist_ok=True, mode=0o711)
        self._state.mkdir(parents=True, exist_ok=True, mode=0o711)
        (self._state / "cni").mkdir(exist_ok=True)
        await asyncio.to_thread(self._end_earlier)
        (self._state / "cni" / "10-hearth.conflist").write_text(self._cni())
        config = self._state / "containerd.toml"
        config.write_text(self._config())
        log = (self._state / "containerd.log").open("wb")
        with log:
            self._process = await asyncio.create_subprocess_exec(
                "containerd", "--config", str(config),
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        (self._run / "pid").write_text(str(self._process.pid))
        cri = Cri(self.socket)
        try:
            await self._answering(cri)
            await self._remove_pods(cri)
            if pause.can_be_made():
                await self.load(pause.archive())
        except BaseException:
            await cri.close()
            await self.stop()
            raise
        return cri

    async def _answering(self, cri: Cri) -> None:
        assert self._process is not None
        try:
            async with asyncio.timeout(_START_S):
                while not await self._is_ready(cri):
                    if self._process.returncode is not None:
                        raise NoContainerRuntime(f"containerd ended: {self._said()}")
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            said = f"containerd did not answer within {_START_S:g} s: {self._said()}"
            raise NoContainerRuntime(said) from error

    async def _is_ready(self, cri: Cri) -> bool:
        if not self.socket.exists():
            return False
        try:
            status = await cri.call("Status", api_pb2.StatusRequest(), timeout_s=2)
        except CriError:
            return False
        return all(condition.status for condition in status.status.conditions)

    def _said(self) -> str:
        with contextlib.suppress(OSError):
            lines = (self._state / "containerd.log").read_text(errors="replace").splitlines()
            errors = [line for line in lines if "level=fatal" in line or "level=error" in line]
            return (errors or lines or [""])[-1][-500:]
        return ""

    async def load(self, image: bytes | Path) -> list[str]:
        """Import an archive of ``docker save`` or of OCI's layout; returns the images' names.

        Raises:
            NoContainerRuntime: the archive is not one.
        """
        with tempfile.NamedTemporaryFile(dir=self._state) as file:
            path = str(image)
            if isinstance(image, bytes):
                file.write(image)
                file.flush()
                path = file.name
            said = await self._ctr("images", "import", path)
        names = [line.split()[1] for line in said.splitlines() if line.startswith("unpacking ")]
        await self._name_by_digest(names)
        for name in names:
            await self._ctr("images", "label", name, f"{_LOADED}=yes")
        return names

    async def loaded(self) -> set[str]:
        """The names of the images that came from an archive.

        Raises:
            NoContainerRuntime: they cannot be told.
        """
        found = await self._ctr("images", "list", "--quiet", f'labels."{_LOADED}"==yes')
        return set(found.split())

    async def _name_by_digest(self, names: Sequence[str]) -> None:
        """Let what was loaded be called by its digest too, as what was pulled is."""
        listed = (await self._ctr("images", "list")).splitlines()
        digests = {line.split()[0]: line.split()[2] for line in listed[1:] if line}
        for name in names:
            path, _, last = name.rpartition("/")
            whole = f"{path}/{last.partition('@')[0].partition(':')[0]}@{digests[name]}"
            if whole != name:
                await self._ctr("images", "tag", "--force", name, whole)

    async def _ctr(self, *arguments: str) -> str:
        """Run containerd's own client; returns what it printed."""
        process = await asyncio.create_subprocess_exec(
            "ctr", "--address", str(self.socket), "--namespace", "k8s.io", *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, error = await process.communicate()
        if process.returncode:
            said = error.decode(errors="replace").strip().removeprefix("ctr: ")
            raise NoContainerRuntime(f"not an image archive: {said}")
        return out.decode(errors="replace")

    async def stop(self) -> None:
        """End it; containers must have been removed before."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            try:
                async with asyncio.timeout(5):
                    await self._process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
                await self._process.wait()
        await asyncio.to_thread(self._end_shims)
        shutil.rmtree(self._run, ignore_errors=True)

    def _end_shims(self) -> None:
        """End those of sandboxes that could not be removed: they are no children of ours."""
        ours = b"\0-address\0%b\0" % str(self.socket).encode()
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                said = path.read_bytes()
                if b"containerd-shim" in said.split(b"\0")[0] and ours in said:
                    os.kill(int(path.parent.name), signal.SIGKILL)

    def _end_earlier(self) -> None:
        """End the daemon that an agent which died has left; its containers are swept after."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self._run / "pid").read_text())
            if "containerd" in Path(f"/proc/{pid}/comm").read_text():
                os.kill(pid, signal.SIGKILL)

    async def _remove_pods(self, cri: Cri) -> None:
        found = await cri.call("ListPodSandbox", api_pb2.ListPodSandboxRequest())
        for sandbox in found.items:
            await remove_sandbox(cri, sandbox.id)

    def _config(self) -> str:
        """See containerd's docs/cri/config.md."""
        handlers = _handlers()
        quoted = json.dumps
        lines = [
            "version = 2",
            f"root = {quoted(str(self._state / 'root'))}",
            f"state = {quoted(str(self._run / 'state'))}",
            'disabled_plugins = ["io.containerd.snapshotter.v1.aufs",'
            ' "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",'
            ' "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt",'
            ' "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]',
            "[grpc]",
            f"  address = {quoted(str(self.socket))}",
            '[plugins."io.containerd.grpc.v1.cri"]',
            *([f"  sandbox_image = {quoted(pause.IMAGE)}"] if pause.can_be_made() else []),
            "  restrict_oom_score_adj = true",
            "  tolerate_missing_hugetlb_controller = true",
            f"  disable_apparmor = {quoted(not Path('/sys/kernel/security/apparmor').exists())}",
            '  [plugins."io.containerd.grpc.v1.cri".cni]',
            f"    bin_dir = {quoted(_cni_folder())}",
            f"    conf_dir = {quoted(str(self._state / 'cni'))}",
            '  [plugins."io.containerd.grpc.v1.cri".registry]',
            '    config_path = "/etc/containerd/certs.d"',
            '  [plugins."io.containerd.grpc.v1.cri".containerd]',
            f"    default_runtime_name = {quoted(next(iter(handlers)))}",
        ]
        for name, path in handlers.items():
            lines += [
                f'  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{name}]',
                '    runtime_type = "io.containerd.runc.v2"',
                f'    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{name}.options]',
                f"      BinaryName = {quoted(path)}",
            ]
        for name, shim in _SANDBOXES.items():
            if shutil.which(shim):
                lines += [
                    f'  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{name}]',
                    f"    runtime_type = {quoted(_SHIM_TYPES[name])}",
                ]
        return "\n".join(lines) + "\n"

    def _cni(self) -> str:
        network = self._network
        addresses = {
            "subnet": network.subnet,
            "rangeStart": network.first,
            "rangeEnd": network.last,
            "gateway": network.gateway,
        }
        bridge = {
            "type": "bridge",
            "bridge": network.bridge,
            "isGateway": False,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "dataDir": str(self._run / "addresses"),
                "ranges": [[addresses]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }
        return json.dumps({"cniVersion": "0.4.0", "name": "hearth", "plugins": [bridge]})


async def remove_sandbox(cri: Cri, sandbox_id: str) -> None:
    """End and remove a sandbox with all that is in it; what is gone already is well."""
    for method, request in (
        ("StopPodSandbox", api_pb2.StopPodSandboxRequest(pod_sandbox_id=sandbox_id)),
        ("RemovePodSandbox", api_pb2.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id)),
    ):
        try:
            await cri.call(method, request)
        except CriError as error:
            if error.code != "NOT_FOUND":
                raise
