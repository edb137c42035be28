"""A revision's three timeouts on a real Envoy: each ends what it is about, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter

import aiohttp
import pytest
from aiohttp import web

from tests.system.edge import open_edge, play

TOO_LATE = (504, "request timeout\n")


class App:
    """Sends bytes at given pauses: ``/0.1,0.5`` begins after 0.1 s and ends 0.5 s later."""

    def __init__(self):
        self.requests = Counter()

    async def handle(self, request):
        self.requests[request.path] += 1
        if request.path == "/ws":
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            async for message in socket:
                if message.data != "silence":
                    await socket.send_str(message.data)
            return socket
        if request.can_read_body:
            await request.read()
        first, *pauses = map(float, request.path[1:].split(","))
        await asyncio.sleep(first)
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b".")
        for pause in pauses:
            await asyncio.sleep(pause)
            await response.write(b".")
        return response


@contextlib.asynccontextmanager
async def listening():
    app = App()
    serving = web.Application()
    serving.router.add_route("*", "/{tail:.*}", app.handle)
    runner = web.AppRunner(
        serving, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    app.port = runner.addresses[0][1]
    try:
        yield app
    finally:
        await runner.cleanup()


@pytest.fixture
def on_app(tmp_path):
    """Play a story with a gateway and a service with these timeouts."""

    def run(story, warm=True, **spec):
        async def whole():
            async with open_edge(tmp_path / "gateway") as edge, listening() as app:
                revision = await edge.service("t", **spec)
                if warm:
                    edge.pod("t-pod", revision, app.port)
                    await edge.has_instance(revision)
                await asyncio.wait_for(story(edge, app), 30)

        play(whole)

    return run


async def timed(coroutine):
    """What it gives, and the seconds it took."""
    started = time.monotonic()
    return await coroutine, time.monotonic() - started


async def until_cut(edge, path):
    """The bytes that came before the response was cut off; asserts that it was."""
    got = b""
    async with edge.request("t", path) as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            async for piece in response.content.iter_any():
                got += piece
    return got


@pytest.mark.parametrize("limit", [0, 1])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_response_must_begin_within_timeout_seconds(on_app, method, limit):
    async def story(edge, app):
        answer, took_s = await timed(edge.get("t", "/5", method=method))
        assert (answer, 0.9 < took_s < 3) == (TOO_LATE, True)
        assert app.requests == {"/5": 1}, "it was not repeated"
        answer, took_s = await timed(edge.get("t", "/0,0.5,0.5,0.5", method=method))
        assert (answer, took_s > 1.4) == ((200, "...."), True), "what has begun may go on"

    on_app(story, timeoutSeconds=1, containerConcurrency=limit)


def websocket(edge):
    url, headers = f"http://127.0.0.1:{edge.port}/ws", {"Host": "t.default.localhost"}
    return edge.session.ws_connect(url, headers=headers)


@pytest.mark.parametrize("limit", [0, 1])
def test_a_websocket_in_use_is_not_cut(on_app, limit):
    async def story(edge, app):
        async with websocket(edge) as socket:
            for _ in range(5):  # longer than its timeouts, and than idle connections are kept
                await asyncio.sleep(0.7)
                await socket.send_str("hi")
                assert await socket.receive_str(timeout=5) == "hi"

    on_app(story, timeoutSeconds=2, responseStartTimeoutSeconds=1, containerConcurrency=limit)


@pytest.mark.parametrize("limit", [0, 1])
@pytest.mark.parametrize("spec", [
    {"timeoutSeconds": 1}, {"timeoutSeconds": 20, "responseStartTimeoutSeconds": 1},
    {"timeoutSeconds": 20, "idleTimeoutSeconds": 1},
])  # fmt: skip
def test_a_websocket_that_gets_no_answer_in_time_is_cut(on_app, spec, limit):
    async def story(edge, app):
        async with websocket(edge) as socket:
            await socket.send_str("silence")
            ended, took_s = await timed(socket.receive(timeout=10))
            assert (ended.type is aiohttp.WSMsgType.CLOSED, 0.9 < took_s < 3) == (True, True)

    on_app(story, **spec, containerConcurrency=limit)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_response_must_begin_within_its_timeout_and_may_go_on(on_app, method):
    async def story(edge, app):
        answer, took_s = await timed(edge.get("t", "/5", method=method))
        assert (answer, 0.9 < took_s < 3) == (TOO_LATE, True)
        assert app.requests == {"/5": 1}, "it was not repeated"
        assert await edge.get("t", "/0.5,1,1", method=method) == (200, "...")

    on_app(story, timeoutSeconds=10, responseStartTimeoutSeconds=1)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_bytes_must_keep_coming_within_the_idle_timeout(on_app, method):
    async def story(edge, app):
        answer, took_s = await timed(edge.get("t", "/5", method=method))
        assert (answer, 0.9 < took_s < 3) == (TOO_LATE, True)
        assert app.requests == {"/5": 1}
        got, took_s = await timed(until_cut(edge, "/0,0.5,5"))
        assert (got, 1.4 < took_s < 5) == (b"..", True)  # Envoy closes a second later
        assert await edge.get("t", "/0.5,0.7,0.7,0.7", method=method) == (200, "....")

    on_app(story, timeoutSeconds=10, idleTimeoutSeconds=1)


@pytest.mark.parametrize("spec", [
    {"timeoutSeconds": 1}, {"timeoutSeconds": 20, "responseStartTimeoutSeconds": 1},
    {"timeoutSeconds": 1, "containerConcurrency": 1},
])  # fmt: skip
def test_time_in_the_hold_counts(on_app, spec):
    async def story(edge, app):
        (status, body), took_s = await timed(edge.get("t", "/0"))
        assert (status, 0.8 < took_s < 3) == (504, True)
        assert body.startswith("request timeout: revision default/t-00001 had no instance")

    on_app(story, warm=False, **spec)


def test_revisions_that_share_a_route_keep_their_own_timeouts(on_app):
    async def story(edge, app):
        edge.revision("t-00002", timeoutSeconds=5)
        edge.pod("t-pod2", "t-00002", app.port)
        traffic = [{"revisionName": f"t-0000{n}", "percent": 50} for n in (1, 2)]
        await edge.route("t", *traffic)
        answers = await asyncio.gather(*(edge.get("t", "/2") for _ in range(60)))
        seen = Counter(answers)
        assert set(seen) == {TOO_LATE, (200, ".")}
        assert 12 <= seen[TOO_LATE] <= 48

    on_app(story, timeoutSeconds=1)
