"""Forks pods from a process that has imported what they need; ends them when its agent ends.

``python -m hearth.loader.zygote FD MODULES``: FD is a stream socket to the node agent, MODULES a
comma-separated list to preload. Single-threaded, with no event loop and no sockets of its own, so
that a fork is a clean copy. The agent says, one JSON line each, file descriptors attached::

    {"op": "spawn", "id": …, "pod": {…}, "cgroups": […], "netns": bool}  + channel, stdout, stderr
    {"op": "kill", "pid": n, "signal": n}     SIGKILL goes to the pod's whole process group
    {"op": "purge", "pid": n, "cgroups": […]} nothing of the pod may be left; remove its cgroups
    {"op": "at_end", "commands": […], "directories": […]}   to do when the agent is gone

and hears ``{"op": "spawned", "id", "pid"}``, ``{"op": "exited", "pid", "status"}``.

Nothing survives its pod. Where pods have cgroups, those are emptied. Where they have none, each pod
is the subreaper of what it starts, so that a process that becomes our child is what a pod that has
ended left, however often it forked. When the agent's end closes, whatever the cause, all pods end.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from hearth.loader.become import kept_environment
from hearth.loader.channel import Channel
from hearth.loader.mounts import Bind, bind_all, leave_shared_view
from hearth.loader.netlink import configure_pod
from hearth.loader.warm import WarmPod, preload, wait_and_become

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_CLONE_NEWNET, _CLONE_NEWCGROUP = 0x40000000, 0x02000000
_FDS_MAX = 8
_EMPTY_TRIES_MAX = 50  #: to remove a cgroup whose processes are being killed
_EMPTY_PAUSE_S = 0.002
_LAST_WORDS_S = 0.05  #: for what tells the pods' clients that they have ended to leave their links
_libc = ctypes.CDLL(None, use_errno=True)


class Zygote:
    """Forks, reaps and kills."""

    def __init__(self, agent: socket.socket, preloaded: dict[str, str]) -> None:
        self._agent = agent
        self._preloaded = preloaded
        self._rest = b""
        self._fds: list[int] = []
        self._pods: dict[int, list[str]] = {}  #: cgroups by pid
        self._strays_are_leavings = False  #: no pod has cgroups
        self._at_end: dict[str, Any] = {}
        self._wake_read, self._wake_write = os.pipe()

    def run(self) -> None:
        """Serve the agent until it is gone; then end all pods."""
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        for ignored in (signal.SIGINT, signal.SIGTERM):  # the agent ends us by closing its end
            signal.signal(ignored, signal.SIG_IGN)
        os.set_blocking(self._wake_write, False)
        os.set_blocking(self._wake_read, False)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        try:
            while True:
                agent = self._agent.fileno()
                readable, _, _ = select.select([agent, self._wake_read], [], [])
                if self._wake_read in readable:
                    os.read(self._wake_read, 4096)
                    self._reap()
                if agent in readable and not self._receive():
                    return
        finally:
            self._end_all()

    def _receive(self) -> bool:
        try:
            data, fds, _, _ = socket.recv_fds(self._agent, 65536, _FDS_MAX)
        except OSError:
            return False
        self._fds += fds
        if not data:
            return False
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._do(json.loads(line))
        return True

    def _do(self, message: dict[str, Any]) -> None:
        match message["op"]:
            case "spawn":
                fds, self._fds = self._fds[:3], self._fds[3:]
                self._spawn(message, fds)
            case "kill":
                self._kill(message["pid"], message["signal"])
            case "at_end":
                self._at_end = message
            case "purge":
                self._kill(message["pid"], signal.SIGKILL)
                empty_cgroups(message["cgroups"], self._reap)

    def _spawn(self, message: dict[str, Any], fds: list[int]) -> None:
        pid = os.fork()
        if pid == 0:
            self._become_pod(message, fds)
        for fd in fds:
            os.close(fd)
        self._pods[pid] = message["cgroups"]
        self._strays_are_leavings = not message["cgroups"]
        self._tell("spawned", id=message["id"], pid=pid)

    def _become_pod(self, message: dict[str, Any], fds: list[int]) -> NoReturn:
        status = 1
        try:
            self._leave_zygote(fds, is_reaper=not message["cgroups"])
            channel = Channel(socket.socket(fileno=fds[0]))
            _place(message["cgroups"])
            pod = WarmPod(**message["pod"], preloaded=self._preloaded)
            os.environ["HOSTNAME"] = pod.name
            if message["netns"]:
                _unshare(_CLONE_NEWNET, "network namespace")
                channel.tell("netns")
                wired = channel.hear()
                configure_pod(wired["ip"], wired["prefix"], wired["gateway"])
                leave_shared_view()
                if message["cgroups"]:
                    _unshare(_CLONE_NEWCGROUP, "cgroup namespace")
                etc = [Bind(source, target, False) for target, source in wired["etc"].items()]
                bind_all([*etc, *_own_cgroups(message["cgroups"])])
            status = wait_and_become(pod, channel)
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        except BaseException:  # noqa: BLE001 - a fork must not return into the zygote
            traceback.print_exc()
        finally:
            with contextlib.suppress(BaseException):
                atexit._run_exitfuncs()  # the interpreter's own way out is the zygote's
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _leave_zygote(self, fds: list[int], *, is_reaper: bool) -> None:
        """Become a process of one's own that has nothing of the zygote's."""
        zygote = os.getppid()
        os.setsid()
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if is_reaper:
            _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
        if os.getppid() != zygote:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        self._agent.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        null = os.open(os.devnull, os.O_RDONLY)
        for old, new in ((null, 0), (fds[1], 1), (fds[2], 2)):
            os.dup2(old, new)
            os.close(old)
        os.set_inheritable(fds[0], False)
        gc.enable()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self._pods.pop(pid, None) is not None:  # others are strays
                _signal(os.killpg, pid, signal.SIGKILL)
                self._tell("exited", pid=pid, status=os.waitstatus_to_exitcode(status))
            if self._strays_are_leavings:
                for stray in set(_children()) - self._pods.keys():
                    _signal(os.kill, stray, signal.SIGKILL)

    def _kill(self, pid: int, number: int) -> None:
        if pid in self._pods:  # not reaped yet, so the number is still this pod's
            _signal(os.killpg if number == signal.SIGKILL else os.kill, pid, number)

    def _end_all(self) -> None:
        pods = list(self._pods.items())
        for pid, _ in pods:
            self._kill(pid, signal.SIGKILL)
        for _, cgroups in pods:
            empty_cgroups(cgroups, self._reap)
        for _ in range(100):
            for child in _children():
                _signal(os.kill, child, signal.SIGKILL)
            self._reap_quietly()
            if not _children():
                break
            time.sleep(0.01)
        for directory in self._at_end.get("directories", ()):
            with contextlib.suppress(OSError):
                os.rmdir(directory)
        time.sleep(_LAST_WORDS_S)
        for command in self._at_end.get("commands", ()):
            _run_quietly(command)

    def _reap_quietly(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    def _tell(self, op: str, **facts: Any) -> None:
        with contextlib.suppress(OSError):
            self._agent.sendall(json.dumps({"op": op, **facts}).encode() + b"\n")


def _unshare(flag: int, what: str) -> None:
    if _libc.unshare(flag):
        raise OSError(ctypes.get_errno(), f"cannot get a {what} of its own")


def _own_cgroups(groups: list[str]) -> list[Bind]:
    """The pod's own groups in the place of the machine's: programs read their limits there."""
    return [Bind(group, str(Path(group).parents[1]), True) for group in groups]


def _run_quietly(command: list[str]) -> None:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(command, capture_output=True, timeout=5, check=False)


def _place(cgroups: list[str]) -> None:
    for group in cgroups:
        fd = os.open(f"{group}/cgroup.procs", os.O_WRONLY)
        try:
            os.write(fd, b"0")
        finally:
            os.close(fd)


def _signal(send: Callable[[int, int], None], pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        send(pid, number)


def empty_cgroups(cgroups: Sequence[str], reap: Callable[[], None]) -> None:
    """Kill everything in the groups and remove them; ``reap`` waits for those that are ours."""
    for group in cgroups:
        path = Path(group)
        for _ in range(_EMPTY_TRIES_MAX):
            for pid in _pids_in(path):
                _signal(os.kill, pid, signal.SIGKILL)
            reap()
            try:
                path.rmdir()
                break
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(_EMPTY_PAUSE_S)


def _pids_in(group: Path) -> list[int]:
    try:
        return [int(line) for line in (group / "cgroup.procs").read_text().split()]
    except OSError:
        return []


def _children() -> list[int]:
    with contextlib.suppress(OSError):
        return [int(p) for p in Path("/proc/thread-self/children").read_text().split()]
    return []


def command(fd: int, modules: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """How to start a zygote that preloads ``modules``: arguments, and environment.

    What is in the agent's own environment is the operator's, not the pods'.
    """
    env = {**kept_environment(), "PYTHONUNBUFFERED": "1"}
    if "PYTHONPATH" in os.environ:
        env["PYTHONPATH"] = os.environ["PYTHONPATH"]
    return [sys.executable, "-m", "hearth.loader.zygote", str(fd), ",".join(modules)], env


def main() -> int:
    """Preload, then fork for the agent until it is gone."""
    agent = socket.socket(fileno=int(sys.argv[1]))
    agent.set_inheritable(False)
    parent = os.getppid()
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    modules = [name for name in sys.argv[2].split(",") if name] if len(sys.argv) > 2 else []
    preloaded = preload(modules)
    with contextlib.suppress(ImportError):
        from setproctitle import setproctitle

        setproctitle(f"hearth zygote {' '.join(modules)}".strip())
    if os.getppid() != parent:
        return 0
    gc.collect()
    gc.disable()
    gc.freeze()
    agent.sendall(b'{"op": "warm"}\n')
    Zygote(agent, preloaded).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
