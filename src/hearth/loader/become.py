"""Turns a warm process into the app: the last thing a loader does.

Python is imported into this very process; anything else is run as its child, whose signals, exit
code and first answer it passes on.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearth.loader.control import Caller
from hearth.loader.entry import Application, Program, find_entry, load
from hearth.loader.packages import CodeError
from hearth.loader.protocol import Package, Specialisation

_POLL_FIRST_S = 0.001  #: between two looks whether a program listens; doubles up to
_POLL_MAX_S = 0.05
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "HOSTNAME", "SSL_CERT_FILE")

#: Gives the folder of a package.
Obtain = Callable[[Package], Path]
Report = Callable[[str, str], None]


@dataclass
class Pod:
    """What a loader has when it is told what to become."""

    app_socket: socket.socket | None  #: bound and listening already, for apps in this process
    app_port: int | None  #: the node's choice; None: the specialisation's
    obtain: Obtain
    preloaded: dict[str, str]  #: versions of the distributions imported so far, by name
    caller: Caller | None
    on_listening: Callable[[], None]
    on_failed: Report
    before_user_code: Callable[[], None]  #: closes what user code must not reach
    last_output: Callable[[], str]  #: what the pod printed last, for a failure's message

    def listening(self) -> None:
        """The app answers."""
        if self.caller is not None:
            self.caller.succeed()
        self.on_listening()

    def fail(self, reason: str, message: str) -> int:
        """The app cannot run; returns the exit code."""
        if self.caller is not None:
            self.caller.fail(reason, message)
        self.on_failed(reason, message)
        print(message, file=sys.stderr, flush=True)
        return 1


def become(spec: Specialisation, pod: Pod) -> int:
    """Run the app until it ends; returns its exit code."""
    try:
        code = pod.obtain(spec.code)
        layer = pod.obtain(spec.layer) if spec.layer else None
        if pod.caller is not None:
            pod.caller.note("injected")
        pod.before_user_code()
        port = pod.app_port or spec.port
        _set_environment(spec, port)
        folder = code / spec.working_dir if spec.working_dir else code
        os.chdir(folder)
        entry = find_entry(code, spec.command, spec.args, os.environ)
        _title(spec.revision)
        random.seed()
        if isinstance(entry, Program):
            return _run_program(entry, spec, pod, port, layer)
        if layer is not None and (clash := _clash(layer, pod.preloaded)):
            print(f"starting afresh for {clash}", file=sys.stderr)
            return _run_afresh(entry, spec, pod, port, (layer, code))
        return _run_python(entry, pod, port, code, layer)
    except CodeError as error:
        return pod.fail(error.reason, error.message)
    except OSError as error:
        return pod.fail("CodeInvalid", f"{spec.revision}: {error}")


def _set_environment(spec: Specialisation, port: int) -> None:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    os.environ.clear()
    os.environ.update({"PYTHONUNBUFFERED": "1", **kept, **spec.env, "PORT": str(port)})


def _title(revision: str) -> None:
    with contextlib.suppress(ImportError):
        from setproctitle import setproctitle

        setproctitle(revision)


def _clash(layer: Path, preloaded: dict[str, str]) -> str:
    """A distribution of the layer that is imported already in another version, or empty."""
    for name in os.listdir(layer):
        if name.endswith(".dist-info"):
            distribution, _, version = name.removesuffix(".dist-info").partition("-")
            have = preloaded.get(distribution.lower().replace("_", "-"))
            if have not in (None, version):
                return f"{distribution} {version}"
    return ""


def _run_python(entry: Application, pod: Pod, port: int, code: Path, layer: Path | None) -> int:
    from hearth.loader.serving import serve

    sys.path[:0] = [str(code), *([str(layer)] if layer else [])]
    sock = _bound(pod.app_socket, port)
    app = load(entry)
    return serve(app, sock, pod.listening, lambda said: pod.fail("ExitedEarly", said))


def _bound(sock: socket.socket | None, port: int) -> socket.socket:
    """The app's socket: the one that is bound already, if the port is right."""
    if sock is not None and sock.getsockname()[1] == port:
        return sock
    host = sock.getsockname()[0] if sock is not None else "0.0.0.0"
    if sock is not None:
        sock.close()
    return listen(host, port)


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    sock.listen(1024)
    return sock


def _run_afresh(
    entry: Application, spec: Specialisation, pod: Pod, port: int, paths: tuple[Path, ...]
) -> int:
    """Serve from a new interpreter: another version of something is imported in this one."""
    own = Path(__file__).parents[2]
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, (*paths, own)))
    names = ",".join(entry.names)
    command = (sys.executable, "-m", "hearth.loader.serving", entry.module, names, str(port))
    return _run_program(Program(command), spec, pod, port, None)


def _run_program(
    program: Program, spec: Specialisation, pod: Pod, port: int, layer: Path | None
) -> int:
    if pod.app_socket is not None:
        host = pod.app_socket.getsockname()[0]
        pod.app_socket.close()
    else:
        host = "127.0.0.1"
    host = "127.0.0.1" if host == "0.0.0.0" else host
    if layer is not None:
        os.environ["PYTHONPATH"] = str(layer)
        os.environ["PATH"] = f"{layer}/bin{os.pathsep}{os.environ.get('PATH', '')}"
    interpreter = str(Path(sys.executable).parent)
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}{os.pathsep}{interpreter}"
    try:
        child = subprocess.Popen(program.argv)
    except OSError as error:
        raise CodeError("CodeInvalid", f"cannot run {program.argv[0]}: {error}") from error
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, frame: child.send_signal(received))
    if not _await_answer(child, host, port, spec):
        if child.poll() is None:
            child.kill()
            child.wait()
            return pod.fail("NotListening", f"nothing listens on port {port} after "
                            f"{spec.listen_timeout_s:g} s")  # fmt: skip
        said = f"the program ended with {_said(child.returncode)} before it listened on {port}"
        pod.fail("ExitedEarly", "\n".join(filter(None, (said, pod.last_output()))))
        return _exit_code(child.returncode)
    pod.listening()
    return _exit_code(child.wait())


def _await_answer(child: subprocess.Popen[Any], host: str, port: int, spec: Specialisation) -> bool:
    deadline = time.monotonic() + spec.listen_timeout_s
    pause_s = _POLL_FIRST_S
    while child.poll() is None and time.monotonic() < deadline:
        try:
            with socket.create_connection((host, port), 1.0):
                pass
            return child.poll() is None
        except OSError as error:
            if error.errno not in (errno.ECONNREFUSED, None) and not isinstance(
                error, TimeoutError
            ):
                raise
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, _POLL_MAX_S)
    return False


def _exit_code(returncode: int) -> int:
    return returncode if returncode >= 0 else 128 - returncode


def _said(returncode: int) -> str:
    return f"exit code {returncode}" if returncode >= 0 else f"signal {-returncode}"
