"""Resolves names for the node's pods: services of the cluster here, all others upstream."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

from hearth.kit.tasks import TaskGroup
from hearth.node.core.dns import (
    NOERROR,
    NXDOMAIN,
    SERVFAIL,
    answer,
    is_of_cluster,
    local_name,
    parse_question,
)

log = logging.getLogger(__name__)

PORT = 53
_UPSTREAM_S = 3.0  #: for an answer from upstream
RESOLV_CONF = Path("/etc/resolv.conf")  #: the machine's own

#: Whether there is such a service: name and namespace.
Exists = Callable[[str, str], Awaitable[bool]]


class NameServer:
    """Answers on one address, by UDP and TCP. Belongs to one event loop."""

    def __init__(self, host: str, services: str, exists: Exists) -> None:
        """Listen on ``host``; services that exist are at the address ``services``."""
        self._host = host
        self._services = services
        self._exists = exists
        self._tasks = TaskGroup()

    async def serve(self) -> None:
        """Answer until cancelled; without the port names are not resolved, which is in the log."""
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self), local_addr=(self._host, PORT)
            )
            server = await asyncio.start_server(self._connected, self._host, PORT)
        except OSError as error:
            facts = {"address": f"{self._host}:{PORT}", "because": str(error)}
            log.warning("names of services are not resolved for pods", extra={"f": facts})
            return
        try:
            async with server:
                await server.serve_forever()
        finally:
            transport.close()
            await self._tasks.close()

    def received(self, message: bytes, reply: Callable[[bytes], None]) -> None:
        """Answer one query when its answer is known."""

        async def work() -> None:
            if (found := await self.resolve(message)) is not None:
                reply(found)

        self._tasks.start(work(), name="name")

    async def resolve(self, message: bytes, *, tcp: bool = False) -> bytes | None:
        """The answer to a query; None for what is not one."""
        question = parse_question(message)
        if question is None:
            return None
        if not is_of_cluster(question.name):
            try:
                return await _ask_upstream(message, tcp=tcp)
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                return answer(question, SERVFAIL)
        found = local_name(question.name)
        if found is not None and await self._exists(*found):
            return answer(question, NOERROR, self._services)
        return answer(question, NXDOMAIN)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (found := await self.resolve(await _read_message(reader), tcp=True)) is not None:
                writer.write(struct.pack("!H", len(found)) + found)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        self._transport = cast(asyncio.DatagramTransport, transport)  # uvloop's is of no such class

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A query."""
        assert self._transport is not None
        transport = self._transport
        self._server.received(data, lambda found: transport.sendto(found, addr))


class _Once(asyncio.DatagramProtocol):
    """Takes the one answer to one query."""

    def __init__(self, query_id: bytes) -> None:
        self._id = query_id
        self.answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """An answer, if it is to our query."""
        if data[:2] == self._id and not self.answered.done():
            self.answered.set_result(data)

    def error_received(self, exc: Exception) -> None:
        """Nobody is there."""
        if not self.answered.done():
            self.answered.set_exception(exc)


async def _ask_upstream(message: bytes, *, tcp: bool) -> bytes:
    """Pass the query to the machine's own name servers, one after the other."""
    fault: Exception = OSError("this machine has no name server")
    for server in await asyncio.to_thread(upstreams, RESOLV_CONF):
        try:
            async with asyncio.timeout(_UPSTREAM_S):
                return await (_by_tcp if tcp else _by_udp)(server, message)
        except (OSError, TimeoutError) as error:
            fault = error
    raise fault


async def _by_udp(server: str, message: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    transport, once = await loop.create_datagram_endpoint(
        lambda: _Once(message[:2]), remote_addr=(server, PORT)
    )
    try:
        transport.sendto(message)
        return await once.answered
    finally:
        transport.close()


async def _by_tcp(server: str, message: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(server, PORT)
    try:
        writer.write(struct.pack("!H", len(message)) + message)
        return await _read_message(reader)
    finally:
        writer.close()


async def _read_message(reader: asyncio.StreamReader) -> bytes:
    [length] = struct.unpack("!H", await reader.readexactly(2))
    return await reader.readexactly(length)


def upstreams(path: Path) -> list[str]:
    """The name servers of a ``resolv.conf``."""
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return []
    return [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]
