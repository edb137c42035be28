"""Turns a warm process into the app: the last thing a loader does.

Python is imported into this very process, or into a new interpreter in its place where the app
brings another version of something imported already. Anything else is run by ``program``.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import re
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from hearth.loader.channel import Alone, Channel
from hearth.loader.control import Caller
from hearth.loader.entry import Application, Program, find_entry, load
from hearth.loader.packages import CodeError
from hearth.loader.protocol import Specialisation

#: Of the node's own environment; what an app gets beside its own.
KEPT_VARIABLES = (
    "PATH", "HOME", "LANG", "LC_ALL", "TZ", "HOSTNAME", "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip


@dataclass
class Pod:
    """What a loader has when it is told what to become."""

    app_socket: socket.socket | None  #: bound and listening already, for apps in this process
    app_port: int | None  #: the node's choice; None: the specialisation's
    preloaded: dict[str, str]  #: versions of the distributions imported so far, by name
    caller: Caller | None
    node: Channel | Alone

    def listening(self) -> None:
        """The app answers."""
        if self.caller is not None:
            self.caller.succeed()
        self.node.tell("listening")

    def fail(self, reason: str, message: str) -> int:
        """The app cannot run; returns the exit code."""
        return self._fail(reason, message, "")

    def fail_with_output(self, reason: str, message: str) -> int:
        """The same, where what the app printed last says why."""
        return self._fail(reason, message, self.node.last_output())

    def _fail(self, reason: str, message: str, output: str) -> int:
        whole = "\n".join(filter(None, (message, output)))
        if self.caller is not None:
            self.caller.fail(reason, whole)
        self.node.tell("failed", reason=reason, message=whole)
        print(message, file=sys.stderr, flush=True)
        return 1


def become(spec: Specialisation, pod: Pod) -> int:
    """Run the app until it ends; returns its exit code."""
    try:
        code = pod.node.obtain(spec.code)
        layer = pod.node.obtain(spec.layer) if spec.layer else None
        code, layer = pod.node.prepare(spec, code, layer)
        if pod.caller is not None:
            pod.caller.note("injected")
        pod.node.tell("sealed")
        port = pod.app_port or spec.port
        _set_environment(spec, port, layer)
        os.chdir(code / spec.working_dir)
        entry = find_entry(code, spec.command, spec.args, os.environ)
        _title(spec.revision)
        if isinstance(entry, Program):
            from hearth.loader.program import run_program

            return run_program(entry, spec, pod, port)
        paths = [str(code), *_python_path()]
        if layer is not None and (clash := find_clash(layer, pod.preloaded)):
            from hearth.loader.afresh import exec_afresh

            print(f"starting afresh for {clash}", file=sys.stderr, flush=True)
            exec_afresh(entry, pod, port, spec.listen_timeout_s, paths)
        sys.path[:0] = paths
        return run_python(entry, pod, port, spec.listen_timeout_s)
    except CodeError as error:
        return pod.fail(error.reason, error.message)
    except OSError as error:
        return pod.fail("CodeInvalid", f"{spec.revision}: {error}")


def run_python(entry: Application, pod: Pod, port: int, listen_timeout_s: float) -> int:
    """Import the app and serve it from this process; returns its exit code.

    Raises:
        CodeError: it cannot be imported, or is nothing that can be served.
    """
    from hearth.loader.serving import serve

    for stream in (sys.stdout, sys.stderr):  # the zygote's were set up for another file
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    random.seed()
    sock = _bound(pod.app_socket, port)
    said = f"nothing listens on port {port} after {listen_timeout_s:g} s"
    watchdog = threading.Timer(listen_timeout_s, _give_up, (pod, said))
    watchdog.daemon = True
    watchdog.start()

    def serving() -> None:
        watchdog.cancel()
        pod.listening()

    def failed(why: str) -> None:
        watchdog.cancel()
        pod.fail_with_output("ExitedEarly", why)

    try:
        app = load(entry)
    except CodeError:
        watchdog.cancel()
        raise
    return serve(app, sock, serving, failed)


def _give_up(pod: Pod, said: str) -> None:
    """The app hangs while it starts: nothing can interrupt it but our end."""
    pod.fail_with_output("NotListening", said)
    os._exit(1)


def kept_environment() -> dict[str, str]:
    """What of our environment may be passed on."""
    return {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}


def _set_environment(spec: Specialisation, port: int, layer: Path | None) -> None:
    env = {"PYTHONUNBUFFERED": "1", "PATH": os.defpath, **kept_environment(), **spec.env}
    bin_paths = [f"{layer}/bin"] if layer is not None else []
    bin_paths.append(str(Path(sys.executable).parent))  # "python" is the runtime's
    env["PATH"] = os.pathsep.join(filter(None, [*bin_paths, env["PATH"]]))
    if layer is not None:  # also for what the app starts
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(layer), env.get("PYTHONPATH")]))
    os.environ.clear()
    os.environ.update({**env, "PORT": str(port)})


def _python_path() -> list[str]:
    """What the interpreter would have found in the variable, had it been started now."""
    found = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [os.path.abspath(path) for path in found if path]


def _title(revision: str) -> None:
    with contextlib.suppress(ImportError):
        from setproctitle import setproctitle

        setproctitle(revision)


def find_clash(layer: Path, preloaded: dict[str, str]) -> str:
    """A distribution of the layer that is imported already in another version, or empty."""
    for name in sorted(os.listdir(layer)):
        if name.endswith(".dist-info"):
            distribution, _, version = name.removesuffix(".dist-info").partition("-")
            if preloaded.get(normalised(distribution), version) != version:
                return f"{distribution} {version}"
    return ""


def normalised(distribution: str) -> str:
    """The name by which PyPI knows it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


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
