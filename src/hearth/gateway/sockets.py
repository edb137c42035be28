"""Keeps Envoy's listening sockets open while there is no Envoy, so that clients wait.

A socket lives as long as someone has it. The companion takes Envoy's out of its process and holds
them; when Envoy dies, connections go on queueing there. The next Envoy listens beside them
(SO_REUSEPORT), and what waits moves over to it as soon as these are closed: the kernel does that
where ``net.ipv4.tcp_migrate_req`` is set. Where it is not, and may not be set, nothing is kept:
clients are refused and know at once that nobody has seen their request.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import socket
from collections.abc import Collection
from pathlib import Path

log = logging.getLogger(__name__)

_MIGRATE = Path("/proc/sys/net/ipv4/tcp_migrate_req")
_PIDFD_GETFD = 438  #: the same on every architecture
_libc = ctypes.CDLL(None, use_errno=True)


def can_migrate() -> bool:
    """Whether the kernel moves what waits in a closed socket; it is told to, where we may."""
    try:
        if _MIGRATE.read_text().strip() != "1":
            _MIGRATE.write_text("1")
    except OSError as error:
        log.info("connections do not wait for Envoy", extra={"f": {"because": str(error)}})
        return False
    return True


def listening_sockets(pidfd: int, pid: int, ports: Collection[int]) -> list[socket.socket]:
    """A process's listening TCP sockets on these ports, as our own; none where that is refused."""
    found = []
    with contextlib.suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(entry.path).startswith("socket:"):
                    found.append(_taken(pidfd, int(entry.name)))
    kept = [sock for sock in found if _listens(sock, ports)]
    for sock in found:
        if sock not in kept:
            sock.close()
    return kept


def _taken(pidfd: int, number: int) -> socket.socket:
    """A copy of another process's socket; see pidfd_getfd(2) for who may have it."""
    fd = _libc.syscall(_PIDFD_GETFD, pidfd, number, 0)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return socket.socket(fileno=fd)


def _listens(sock: socket.socket, ports: Collection[int]) -> bool:
    try:
        accepts = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        return bool(accepts) and sock.family != socket.AF_UNIX and sock.getsockname()[1] in ports
    except OSError:
        return False
