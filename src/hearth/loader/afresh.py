"""Starts the app in a new interpreter in place of this one: same process, clean imports.

For apps that bring another version of something that the warm process has imported. Sockets and
the caller who waits for an answer are carried over.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from hearth.loader.become import Pod, run_python
from hearth.loader.channel import Alone, Channel
from hearth.loader.control import Caller
from hearth.loader.entry import Application
from hearth.loader.packages import CodeError


def exec_afresh(
    entry: Application, pod: Pod, port: int, listen_timeout_s: float, paths: Sequence[str]
) -> NoReturn:
    """Become a new interpreter that serves ``entry``, with ``paths`` before its own packages."""
    caller = pod.caller
    kept = {
        "socket": pod.app_socket.fileno() if pod.app_socket else -1,
        "caller": caller.connection.fileno() if caller else -1,
        "node": pod.node.fileno(),
    }
    for fd in kept.values():
        if fd >= 0:
            os.set_inheritable(fd, True)
    state = {
        **kept,
        "received_s": caller.received_s if caller else 0.0,
        "phases_s": caller.phases_s if caller else {},
        "modules": entry.modules,
        "names": entry.names,
        "port": port,
        "listen_timeout_s": listen_timeout_s,
    }
    own = str(Path(__file__).parents[2])
    os.environ["PYTHONPATH"] = os.pathsep.join([*paths, own])
    os.execv(sys.executable, [sys.executable, "-m", "hearth.loader.afresh", json.dumps(state)])


def _inherit(fd: int) -> socket.socket | None:
    if fd < 0:
        return None
    sock = socket.socket(fileno=fd)
    sock.set_inheritable(False)
    return sock


def _pod(state: dict[str, Any]) -> Pod:
    connection, node = _inherit(state["caller"]), _inherit(state["node"])
    caller = None
    if connection is not None:
        caller = Caller(connection, state["received_s"], state["phases_s"])
    return Pod(
        app_socket=_inherit(state["socket"]),
        app_port=state["port"],
        preloaded={},
        caller=caller,
        node=Channel(node) if node is not None else Alone(Path()),
    )


def main() -> int:
    """The other end of :func:`exec_afresh`."""
    state = json.loads(sys.argv[1])
    pod = _pod(state)
    entry = Application(tuple(state["modules"]), tuple(state["names"]))
    try:
        return run_python(entry, pod, state["port"], state["listen_timeout_s"])
    except CodeError as error:
        return pod.fail(error.reason, error.message)
    except ImportError as error:  # the app's versions of the server stack do not fit
        return pod.fail("ImportFailed", f"cannot serve with the app's dependencies: {error!r}")


if __name__ == "__main__":
    sys.exit(main())
