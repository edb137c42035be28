"""Clients that do not speak HTTP as they should are told so, and soon."""

from __future__ import annotations

import asyncio
import io
import time

import pytest

from tests.system.edge import backend, open_edge, play

HEADERS_TIMEOUT_S = 0.5
BODY_TIMEOUT_S = 2.0
POST = b"POST / HTTP/1.1\r\nHost: a.default.localhost\r\n"


@pytest.fixture
def on_edge(tmp_path):
    """Play a story with a gateway and one instance of service ``a``."""

    def run(story):
        async def whole():
            settings = {"headers_timeout_s": HEADERS_TIMEOUT_S, "body_timeout_s": BODY_TIMEOUT_S}
            async with open_edge(tmp_path / "gateway", **settings) as edge, backend("b1") as b1:
                edge.pod("p", await edge.service("a"), b1.port)
                await story(edge, b1)

        play(whole)

    return run


async def said(edge, *parts: bytes) -> bytes:
    """What a client reads, up to the connection's end, that sends these parts and no more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    try:
        for part in parts:
            writer.write(part)
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


def begun(edge) -> bytes:
    return f"GET / HTTP/1.1\r\nHost: a.default.localhost:{edge.port}\r\n".encode()


def test_headers_that_never_end_are_answered_408_after_a_bounded_time(on_edge):
    async def story(edge, b1):
        started = time.monotonic()
        answer = await said(edge, begun(edge))
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert HEADERS_TIMEOUT_S * 0.9 < time.monotonic() - started < HEADERS_TIMEOUT_S + 3
        assert b1.requests == 0

    on_edge(story)


def test_headers_that_are_too_large_are_answered_431(on_edge):
    async def story(edge, b1):
        large = b"x-large: " + b"x" * 70_000 + b"\r\n\r\n"
        assert (await said(edge, begun(edge), large)).startswith(b"HTTP/1.1 431 ")
        fits = b"x-large: " + b"x" * 50_000 + b"\r\nConnection: close\r\n\r\n"
        assert (await said(edge, begun(edge), fits)).startswith(b"HTTP/1.1 400 ")
        assert await edge.get("a") == (200, "b1")

    on_edge(story)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x00\x01\x02\r\n\r\n", id="noise"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no-host"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", id="host-with-a-space"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\n"
            b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            id="two-lengths",
        ),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", id="no-length"),
        pytest.param(
            POST + b"Content-Length: 5\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
            id="space-in-a-name",
        ),
        pytest.param(
            POST + b"Content-Length: 6\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\nG",
            id="smuggled",
        ),
        pytest.param(
            POST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nbodyX", id="lengths-differ"
        ),
        pytest.param(POST + b"Content-Length: +4\r\n\r\nbody", id="signed-length"),
        pytest.param(
            POST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\nwiki\r\n0\r\n\r\n", id="bad-chunk"
        ),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nx: b\0c\r\n\r\n", id="nul"),
    ],
)
def test_what_is_no_request_is_answered_400_and_reaches_nobody(on_edge, sent):
    async def story(edge, b1):
        assert (await said(edge, sent)).startswith(b"HTTP/1.1 400 ")
        assert b1.requests == 0
        assert await edge.get("a") == (200, "b1")

    on_edge(story)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"GET / HTTP/1.0\r\nHost: a.default.localhost\r\n\r\n", 426, id="http-1.0"),
        pytest.param(POST + b"Transfer-Encoding: rot13\r\n\r\n", 501, id="unknown-coding"),
        pytest.param(
            POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 501, id="two-codings"
        ),
        pytest.param(b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 431, id="long-path"),
        pytest.param(b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 404, id="connect"),
    ],
)
def test_what_is_not_spoken_is_told_so_and_reaches_nobody(on_edge, sent, status):
    async def story(edge, b1):
        assert (await said(edge, sent)).startswith(f"HTTP/1.1 {status} ".encode())
        assert b1.requests == 0

    on_edge(story)


def test_a_client_that_stops_in_the_middle_of_its_body_is_let_go_of(on_edge):
    async def story(edge, b1):
        started = time.monotonic()
        answer = await said(edge, POST + b"Content-Length: 10\r\n\r\nabc")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - started < BODY_TIMEOUT_S + 3

    on_edge(story)


def test_a_slow_body_is_waited_for_once_the_answer_has_begun(on_edge):
    async def story(edge, b1):
        async def trickle():
            for _ in range(5):
                yield b"x"
                await asyncio.sleep(BODY_TIMEOUT_S / 10)

        assert await edge.get("a", method="POST", data=trickle()) == (200, "b1 5")

    on_edge(story)


def test_who_asks_before_it_sends_its_body_is_told_to_go_on(on_edge):
    async def story(edge, b1):
        head = POST + b"Connection: close\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(head)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"body")
        assert b"b1 4" in await reader.read()
        writer.close()

    on_edge(story)


@pytest.mark.parametrize("state", ["warm", "cold"])
def test_trailers_pass_both_ways(on_edge, state):
    async def story(edge, b1):
        seen = []

        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            writer.write(b"4\r\nbody\r\n0\r\nx-got: yes\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            revision = await edge.service("t")
            if state == "warm":
                edge.pod("t-pod", revision, port)
                await asyncio.sleep(0.2)
            await edge.autoscaler.answers(revision, f"127.0.0.1:{port}")
            head = POST.replace(b"a.default", b"t.default") + b"Connection: close\r\n"
            body = b"Transfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\n0\r\nx-sent: yes\r\n\r\n"
            answer = await said(edge, head + body)
        assert answer.endswith(b"4\r\nbody\r\n0\r\nx-got: yes\r\n\r\n")
        assert seen == [b"4\r\nwiki\r\n0\r\nx-sent: yes\r\n\r\n"]

    on_edge(story)


def test_a_tag_that_is_gone_is_answered_404(on_edge):
    async def story(edge, b1):
        traffic = {"revisionName": "a-00001", "percent": 100}
        await edge.route("a", traffic, {"revisionName": "a-00001", "percent": 0, "tag": "old"})
        assert await edge.get("old-a") == (200, "b1")
        await edge.route("a", traffic)
        assert (await edge.get("old-a"))[0] == 404
        assert await edge.get("a") == (200, "b1")

    on_edge(story)


def test_a_large_body_whose_instance_dies_is_answered_and_does_not_hang(on_edge):
    async def story(edge, b1):
        server = await asyncio.start_server(_die_on_first_bytes, "127.0.0.1", 0)
        async with server:
            edge.pod("q", await edge.service("dies"), server.sockets[0].getsockname()[1])
            started = time.monotonic()
            status, _ = await edge.get("dies", method="POST", data=io.BytesIO(b"x" * 5 * 2**20))
        assert status in (502, 503)
        assert time.monotonic() - started < 5

    on_edge(story)


async def _die_on_first_bytes(reader, writer):
    await reader.read(100_000)
    writer.transport.abort()
