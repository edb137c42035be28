"""What probes say of real servers."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent import futures

import grpc
import pytest

from hearth.runtime.probes import Where, probe_once


async def ask(probe, port, run=None):
    return await probe_once(probe, Where("127.0.0.1", port, run), 8080)


@contextlib.asynccontextmanager
async def http(status):
    async def answer(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        good = "GET /healthz HTTP/1.1" in head and "X-Mine: yes" in head
        line = f"HTTP/1.1 {status if good else 400} Said\r\nContent-Length: 0\r\n\r\n"
        writer.write(line.encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        pytest.param(200, "", id="good"),
        pytest.param(302, "", id="elsewhere"),
        pytest.param(503, "HTTP probe failed with statuscode: 503", id="bad"),
    ],
)
def test_http(status, said):
    async def story():
        headers = [{"name": "X-Mine", "value": "yes"}]
        action = {"path": "healthz", "port": 8080, "httpHeaders": headers}
        async with http(status) as port:
            assert await ask({"httpGet": action}, port) == said

    asyncio.run(story())


def test_nobody_there():
    async def story():
        async with http(200) as port:
            assert await ask({"tcpSocket": {"port": 0}}, port) == ""
        refused = f"dial tcp 127.0.0.1:{port}: connect: connection refused"
        assert await ask({"tcpSocket": {}}, port) == refused
        said = await ask({"httpGet": {"path": "/x"}}, port)
        assert said == f'Get "http://127.0.0.1:{port}/x": {refused}'

    asyncio.run(story())


def test_a_command():
    async def run(command):
        if command == ["hang"]:
            await asyncio.sleep(60)
        return {"true": (0, ""), "loud": (1, "bad luck\n"), "quiet": (3, "")}[command[0]]

    async def story():
        def command(*words):
            return ask({"exec": {"command": list(words)}, "timeoutSeconds": 0.05}, 1, run)

        assert await command("true") == ""
        assert await command("loud") == "bad luck"
        assert await command("quiet") == "command ended with 3"
        assert await command("hang") == "command timed out after 0.05s"

    asyncio.run(story())


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(b"\x08\x01", "", id="serving"),
        pytest.param(b"\x08\x02", 'service unhealthy (responded with "NOT_SERVING")', id="not"),
        pytest.param(b"", 'service unhealthy (responded with "UNKNOWN")', id="unknown"),
    ],
)
def test_grpc(answer, said):
    asked = []

    def check(request, context):
        asked.append(request)
        return answer

    handler = grpc.unary_unary_rpc_method_handler(check)
    server = grpc.server(futures.ThreadPoolExecutor(1))
    service = grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler})
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        action = {"port": port, "service": "mine"}
        assert asyncio.run(ask({"grpc": action, "timeoutSeconds": 5}, 1)) == said
    finally:
        server.stop(None).wait()
    assert asked == [b"\x0a\x04mine"]


def test_a_server_without_health_checks():
    server = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        said = asyncio.run(ask({"grpc": {"port": port}, "timeoutSeconds": 5}, 1))
    finally:
        server.stop(None).wait()
    assert "does not implement the grpc health protocol" in said
