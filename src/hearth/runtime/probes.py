"""Asks a container for its state: HTTP, TCP, gRPC or a command.

Source: kubelet's pkg/probe; messages are its own, because they end up in events and conditions.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from hearth.api.meta import Wire

#: Runs a command in the container; returns its exit code and what it printed.
Run: TypeAlias = Callable[[Sequence[str]], Awaitable[tuple[int, str]]]

_SERVING = 1  #: grpc.health.v1.HealthCheckResponse.ServingStatus
_STATES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """A probe that was answered over HTTP."""

    path: str
    headers: dict[str, str]  #: of the request
    remote: str  #: whence it came, ``ip:port``
    status: int
    took_s: float


@dataclass(frozen=True, slots=True)
class Where:
    """How to reach the container."""

    ip: str
    port: int  #: of the app
    run: Run | None = None  #: None: no command can be run in it
    heard: Callable[[HttpProbe], None] | None = None  #: is told of each answer over HTTP


def probe_port(port: Any, app_port: int, spec_port: int) -> int:
    """The port a probe means: 0, a name and the container's own port are the app's."""
    return app_port if not isinstance(port, int) or port in (0, spec_port) else port


async def probe_once(probe: Wire, where: Where, spec_port: int) -> str:
    """Ask once; empty when all is well, else what is wrong.

    Args:
        probe: how to ask.
        where: whom.
        spec_port: the port that the container's spec names.
    """
    timeout_s = float(probe.get("timeoutSeconds") or 1)
    try:
        async with asyncio.timeout(timeout_s):
            if action := probe.get("httpGet"):
                return await _http(action, where, spec_port)
            if action := probe.get("exec"):
                return await _exec(action.get("command") or [], where)
            if action := probe.get("grpc"):
                return await _grpc(action, where, spec_port, timeout_s)
            action = probe.get("tcpSocket") or {}
            host = str(action.get("host") or where.ip)
            port = probe_port(action.get("port"), where.port, spec_port)
            _, writer = await _connected(host, port)
            writer.close()
            return ""
    except TimeoutError:
        if "exec" in probe:
            return f"command timed out after {timeout_s:g}s"
        return f"no answer within {timeout_s:g}s (Client.Timeout exceeded)"
    except OSError as error:
        return str(error)


async def _connected(
    host: str, port: int, context: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        return await asyncio.open_connection(host, port, ssl=context)
    except ConnectionRefusedError as error:
        said = f"dial tcp {host}:{port}: connect: connection refused"
        raise ConnectionRefusedError(said) from error


async def _http(action: Wire, where: Where, spec_port: int) -> str:
    port = probe_port(action.get("port"), where.port, spec_port)
    host = str(action.get("host") or where.ip)
    path = str(action.get("path") or "/")
    path = path if path.startswith("/") else f"/{path}"
    headers = {"Host": f"{host}:{port}", "User-Agent": "kube-probe/1.35", "Accept": "*/*"}
    headers |= {h["name"]: h.get("value", "") for h in action.get("httpHeaders") or ()}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    scheme = str(action.get("scheme") or "HTTP").lower()
    started = time.monotonic()
    try:
        reader, writer = await _connected(host, port, _trusting() if scheme == "https" else None)
    except OSError as error:
        raise OSError(f'Get "{scheme}://{host}:{port}{path}": {error}') from error
    with contextlib.closing(writer):
        writer.write(f"GET {path} HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode())
        line = (await reader.readline()).split()
        remote = "{}:{}".format(*writer.get_extra_info("sockname")[:2])
    status = int(line[1]) if len(line) > 1 and line[1].isdigit() else 0
    if where.heard is not None:
        where.heard(HttpProbe(path, headers, remote, status, time.monotonic() - started))
    return "" if 200 <= status < 400 else f"HTTP probe failed with statuscode: {status}"


def _trusting() -> ssl.SSLContext:
    """Probes do not look at certificates (kubelet's do not)."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def _exec(command: Sequence[str], where: Where) -> str:
    if where.run is None:
        return "commands cannot be run here"
    code, said = await where.run(command)
    return "" if code == 0 else said.strip()[-500:] or f"command ended with {code}"


async def _grpc(action: Wire, where: Where, spec_port: int, timeout_s: float) -> str:
    import grpc  # 20 MiB, and hardly any probe is one
    from grpc import aio

    port = probe_port(action.get("port"), where.port, spec_port)
    address, service = f"{where.ip}:{port}", str(action.get("service") or "").encode()
    request = b"\x0a" + bytes([len(service)]) + service if service else b""
    async with aio.insecure_channel(address) as channel:
        ask = channel.unary_unary("/grpc.health.v1.Health/Check", None, None)
        try:
            answer: bytes = await ask(request, timeout=timeout_s)
        except aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                return (
                    f'error: this server does not implement the grpc health protocol: "{address}"'
                )
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                return f'timeout: failed to connect service "{address}" within {timeout_s:g}s'
            return f"error: health rpc failed: {error.details()}"
    state = answer[1] if answer[:1] == b"\x08" and len(answer) > 1 else 0
    name = _STATES.get(state, str(state))
    return "" if state == _SERVING else f'service unhealthy (responded with "{name}")'
