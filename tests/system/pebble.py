"""Pebble, Let's Encrypt's test server, and a DNS server that finds every host on this machine."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hearth.kit.x509 import make_authority, make_certificate
from tests.system.running import eventually, free_port

_MODULE = "github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.1"
_A = 1  #: DNS type


@dataclass(frozen=True)
class Pebble:
    """A server that runs."""

    directory: str  #: URL
    trusted: str  #: PEM of the authority of its own certificate


def program() -> str:
    """The path of pebble: from ``$PATH``, else built by go into the cache folder."""
    if found := shutil.which("pebble"):
        return found
    if shutil.which("go") is None:
        pytest.skip("neither pebble nor go, which builds it, is in PATH")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hearth-tests"
    built = home / "pebble"
    if not built.exists():
        environ = {**os.environ, "GOBIN": str(home)}
        done = subprocess.run(
            ["go", "install", _MODULE], env=environ, capture_output=True, text=True, check=False,
            timeout=500,
        )  # fmt: skip
        if done.returncode:
            pytest.skip(f"go does not build pebble: {done.stderr[-300:]}")
    return str(built)


def _answer(query: bytes, address: str) -> bytes:
    """The address for every name; nothing else is known of it."""
    end = query.index(b"\0", 12) + 5
    kind = int.from_bytes(query[end - 4 : end - 2], "big")
    found = kind == _A
    head = query[:2] + b"\x81\x80\0\1" + (b"\0\1" if found else b"\0\0") + b"\0\0\0\0"
    record = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(address) if found else b""
    return head + query[12:end] + record


class _ByTcp(socketserver.StreamRequestHandler):
    """Each message after its length; what newer pebbles speak."""

    server: _TcpServer

    def handle(self) -> None:
        while head := self.rfile.read(2):
            query = self.rfile.read(int.from_bytes(head, "big"))
            answer = _answer(query, self.server.address)
            self.wfile.write(len(answer).to_bytes(2, "big") + answer)


class _ByUdp(socketserver.DatagramRequestHandler):
    """What older ones speak."""

    server: _UdpServer

    def handle(self) -> None:
        self.wfile.write(_answer(self.rfile.read(), self.server.address))


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    address: str


class _UdpServer(socketserver.UDPServer):
    address: str


@contextlib.contextmanager
def _dns(address: str) -> Iterator[str]:
    with (
        _TcpServer(("127.0.0.1", 0), _ByTcp) as tcp,
        _UdpServer(("127.0.0.1", tcp.server_address[1]), _ByUdp) as udp,
    ):
        tcp.address = udp.address = address
        threads = [threading.Thread(target=server.serve_forever) for server in (tcp, udp)]
        for thread in threads:
            thread.start()
        try:
            yield f"127.0.0.1:{tcp.server_address[1]}"
        finally:
            for server, thread in zip((tcp, udp), threads, strict=True):
                server.shutdown()
                thread.join()


@contextlib.contextmanager
def pebble(folder: Path, http_port: int, address: str = "127.0.0.1") -> Iterator[Pebble]:
    """A server that looks for answers to its challenges at ``http_port`` of ``address``."""
    path = program()
    authority = make_authority("pebble's own", timedelta(days=2), datetime.now(UTC))
    own = make_certificate(["127.0.0.1"], authority, timedelta(days=1), datetime.now(UTC))
    (folder / "cert.pem").write_bytes(own.certificate)
    (folder / "key.pem").write_bytes(own.key)
    port = free_port()
    config = {
        "listenAddress": f"127.0.0.1:{port}",
        "managementListenAddress": f"127.0.0.1:{free_port()}",
        "certificate": str(folder / "cert.pem"),
        "privateKey": str(folder / "key.pem"),
        "httpPort": http_port,
        "tlsPort": free_port(),
        "ocspResponderURL": "",
        "externalAccountBindingRequired": False,
    }
    (folder / "config.json").write_text(json.dumps({"pebble": config}))
    environ = {**os.environ, "PEBBLE_VA_NOSLEEP": "1"}
    with _dns(address) as dns, (folder / "pebble.log").open("wb") as log:
        command = [path, "-config", str(folder / "config.json"), "-dnsserver", dns]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environ)
        try:
            eventually(lambda: _listens(port), 10, "pebble listens")
            yield Pebble(f"https://127.0.0.1:{port}/dir", authority.certificate.decode())
        finally:
            process.terminate()
            process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
