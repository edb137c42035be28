"""Asks a container for its state: TCP, HTTP or a command."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

from hearth.api.meta import Wire


@dataclass(frozen=True, slots=True)
class Where:
    """How to reach the container."""

    ip: str
    port: int  #: of the app
    pid: int
    netns: bool


def probe_port(port: Any, app_port: int, spec_port: int) -> int:
    """The port a probe means: 0, a name and the container's own port are the app's."""
    return app_port if not isinstance(port, int) or port in (0, spec_port) else port


async def probe_once(probe: Wire, where: Where, spec_port: int) -> str:
    """Ask once; empty when all is well, else what is wrong."""
    timeout_s = float(probe.get("timeoutSeconds") or 1)
    try:
        async with asyncio.timeout(timeout_s):
            if action := probe.get("httpGet"):
                return await _http(action, where, spec_port)
            if action := probe.get("exec"):
                return await _exec(action.get("command") or [], where)
            action = probe.get("tcpSocket") or {}
            port = probe_port(action.get("port"), where.port, spec_port)
            _, writer = await asyncio.open_connection(where.ip, port)
            writer.close()
            return ""
    except TimeoutError:
        return f"no answer within {timeout_s:g} s"
    except OSError as error:
        return str(error)


async def _http(action: Wire, where: Where, spec_port: int) -> str:
    port = probe_port(action.get("port"), where.port, spec_port)
    path = str(action.get("path") or "/")
    path = path if path.startswith("/") else f"/{path}"
    headers = {"Host": f"{where.ip}:{port}", "User-Agent": "kube-probe/1.35"}
    headers |= {h["name"]: h.get("value", "") for h in action.get("httpHeaders") or ()}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    reader, writer = await asyncio.open_connection(where.ip, port)
    with contextlib.closing(writer):
        writer.write(f"GET {path} HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode())
        line = (await reader.readline()).split()
    status = int(line[1]) if len(line) > 1 and line[1].isdigit() else 0
    return "" if 200 <= status < 400 else f"HTTP probe failed with statuscode: {status}"


async def _exec(command: list[str], where: Where) -> str:
    inside = ["nsenter", f"--net=/proc/{where.pid}/ns/net"] if where.netns else []
    process = await asyncio.create_subprocess_exec(
        *inside, *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        out, _ = await process.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise
    said = out[-500:].decode(errors="replace").strip()
    return "" if process.returncode == 0 else f"command ended with {process.returncode}: {said}"
