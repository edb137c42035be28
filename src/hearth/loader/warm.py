"""A warm pod's process: placed, bound and imported, it waits for its one specialisation."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from hearth.loader.become import Pod, become, listen, normalised
from hearth.loader.channel import Alone, Channel
from hearth.loader.control import Caller, Control
from hearth.loader.protocol import Specialisation


@dataclass(frozen=True, slots=True)
class WarmPod:
    """What a pod is before it becomes anyone's."""

    name: str
    title: str  #: e.g. ``hearth loader python``
    secret_digest: str  #: SHA-256 of the secret, hex; empty: only the node agent may specialise
    host: str  #: address to bind
    app_port: int  #: 0 picks a free one
    control_port: int  #: 0 picks a free one
    preloaded: dict[str, str]  #: distributions imported, with their versions


def wait_and_become(pod: WarmPod, node: Channel | Alone) -> int:
    """Bind, say that the pod is warm, take one specialisation and run it; returns the exit code."""
    _set_title(pod.title)
    app_socket = listen(pod.host, pod.app_port)
    listener = listen(pod.host, pod.control_port)
    gc.collect()
    gc.freeze()  # what is there now stays: a collection need not look at it, nor copy its pages
    ports = {"appPort": app_socket.getsockname()[1], "controlPort": listener.getsockname()[1]}
    node.tell("ready", **ports)
    control = Control(listener, pod.secret_digest)
    try:
        spec, caller = _wait(control, node)
    except EOFError:
        return 0
    control.close()
    return become(
        spec,
        Pod(
            app_socket=app_socket,
            app_port=ports["appPort"] if pod.app_port == 0 else None,
            preloaded=pod.preloaded,
            caller=caller,
            node=node,
        ),
    )


def _wait(control: Control, node: Channel | Alone) -> tuple[Specialisation, Caller | None]:
    while True:
        watched: list[socket.socket | Channel] = [*control.watched()]
        if isinstance(node, Channel):
            watched.append(node)
        for ready in select.select(watched, [], [], control.wait_s())[0]:
            if isinstance(ready, socket.socket):
                if (taken := control.read(ready)) is not None:
                    return taken
            elif (message := ready.hear())["op"] == "specialise":
                return Specialisation.from_json(json.dumps(message["spec"]).encode()), None
        control.expire()


def _set_title(title: str) -> None:
    with contextlib.suppress(ImportError):
        from setproctitle import setproctitle

        setproctitle(title)


def preload(modules: list[str]) -> dict[str, str]:
    """Import the server stack and ``modules``; returns the versions of what is imported now.

    A module that cannot be imported is reported and skipped: the pool is worth having without it.
    """
    import hearth.loader.function
    import hearth.loader.program  # a pod's user may not be able to read it later
    import hearth.loader.serving  # noqa: F401

    with contextlib.suppress(ImportError):
        import a2wsgi  # noqa: F401
    for module in modules:
        try:
            __import__(module)
        except Exception as error:  # noqa: BLE001 - whatever a module raises
            print(f"preload: cannot import {module}: {error!r}", file=sys.stderr, flush=True)
    return _versions()


def _versions() -> dict[str, str]:
    from importlib.metadata import distributions

    roots = {name.partition(".")[0] for name in sys.modules}
    found = {}
    for distribution in distributions():
        names = (distribution.read_text("top_level.txt") or distribution.name).split()
        tops = {name.replace("-", "_") for name in names} | {
            str(file).split("/")[0].removesuffix(".py") for file in distribution.files or ()
            if not str(file).startswith((".", "_"))
        }  # fmt: skip
        if tops & roots:
            found[normalised(distribution.name)] = distribution.version
    return found


def main() -> int:
    """``python -m hearth.loader``: a warm pod in a container, set up by its environment."""
    from hearth.loader.protocol import PRELOAD_VARIABLE, SECRET_DIGEST_VARIABLE

    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))  # process 1 ignores it else
    modules = [name for name in os.environ.get(PRELOAD_VARIABLE, "").split(",") if name]
    pod = WarmPod(
        name=os.environ.get("HOSTNAME", ""),
        title="hearth loader",
        secret_digest=os.environ.get(SECRET_DIGEST_VARIABLE, ""),
        host="0.0.0.0",
        app_port=int(os.environ.get("PORT", "8080")),
        control_port=8012,
        preloaded=preload(modules),
    )
    return wait_and_become(pod, Alone(Path("/tmp/hearth-packages")))
