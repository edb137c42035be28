"""Tells when the last request of a pod that goes has ended.

By the connections that are open to its port: routing has let go of the pod, so the gateway closes
those that carry nothing, and what stays open carries a request, a stream or a WebSocket. Nobody
has to count requests for that, and none of them passes anything of ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

_LOOK_EVERY_S = 0.05
_ESTABLISHED = "01"  #: the kernel's TCP_ESTABLISHED


async def drained(pid: int, port: int, *, least_s: float, most_s: float) -> None:
    """Return once nothing is connected to a port of the pod.

    Args:
        pid: a process in the pod's network.
        port: where its app listens.
        least_s: seconds that routing may take to let go of it.
        most_s: seconds after which what is open does not count any more.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + most_s
    await asyncio.sleep(least_s)
    while loop.time() < deadline and connections(pid, port):  # noqa: ASYNC110  # nobody tells
        await asyncio.sleep(_LOOK_EVERY_S)


def connections(pid: int, port: int) -> int:
    """How many connections others have open to a port, as the kernel tells it.

    Source: kernel.org/doc/html/latest/networking/proc_net_tcp.html
    """
    wanted = f"{port:04X}"
    return sum(state == _ESTABLISHED and local.endswith(wanted) for local, state in _sockets(pid))


def _sockets(pid: int) -> Iterator[tuple[str, str]]:
    """Local address, ``HEX:PORT``, and state of each TCP socket."""
    for name in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]
        except OSError:  # it has ended, or there is no such protocol
            continue
        for line in lines:
            fields = line.split()
            yield fields[1], fields[3]
