"""What travels through the gateway, to an app at zero and to one that is warm."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import socket
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
import websockets

from tests.system.running import EXAMPLES

STREAM = """
import asyncio
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                return
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for number in range(3):
        body = b"data: %d\\n\\n" % number
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await asyncio.sleep(0.3)
    await send({"type": "http.response.body", "body": b""})
"""
ECHO = """
import hashlib
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                return
    digest, more, size = hashlib.sha256(), True, 0
    while more:
        message = await receive()
        digest.update(message.get("body", b""))
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    names = b",".join(sorted(name for name, _ in scope["headers"]))
    headers = [(b"digest", digest.hexdigest().encode()), (b"got", names)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * size})
"""


@pytest.fixture
def at_zero(running, source):
    """Deploy an app at zero; gives its name."""
    names = []

    def make(name, folder=None, **files):
        folder = folder or source(**files)
        running.hearth("deploy", name, "--source", str(folder), "--initial-scale", "0")
        names.append(name)
        return name

    yield make
    for name in names:
        running.hearth("delete", name)


def test_server_sent_events_come_one_by_one(running, at_zero):
    name = at_zero("events", app__py=STREAM)
    for state in ("cold", "warm"):
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
        host = f"{name}.default.localhost:{running.port}"
        connection.request("GET", "/", headers={"Host": host})
        response, times = connection.getresponse(), []
        for _ in range(3):
            assert response.readline().startswith(b"data:"), state
            times.append(time.monotonic())
            response.readline()
        assert times[2] - times[0] > 0.4, f"{state}: the events came together"
        connection.close()


def test_websockets_echo(running, at_zero):
    name = at_zero("ws", folder=EXAMPLES / "websocket")

    async def echo():
        uri = f"ws://{name}.default.localhost:{running.port}/"
        at = {"host": "127.0.0.1", "port": running.port, "proxy": None}
        async with websockets.connect(uri, open_timeout=20, **at) as connection:
            await connection.send("hello")
            return await asyncio.wait_for(connection.recv(), 10)

    for state in ("cold", "warm"):
        assert "hello" in asyncio.run(echo()), state


def test_grpc_unary_and_streams(running, at_zero):
    code = """
import os, grpc
from concurrent import futures
def echo(request, context):
    context.set_trailing_metadata((("trailer", "there"),))
    return request
def chat(requests, context):
    for request in requests:
        yield request
raw = dict(request_deserializer=None, response_serializer=None)
handlers = {"Echo": grpc.unary_unary_rpc_method_handler(echo, **raw),
            "Chat": grpc.stream_stream_rpc_method_handler(chat, **raw)}
server = grpc.server(futures.ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
server.add_insecure_port("0.0.0.0:" + os.environ["PORT"])
server.start()
server.wait_for_termination()
"""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "server.py").write_text(code)
        (Path(folder) / "Procfile").write_text("web: python server.py\n")
        running.hearth(
            "deploy", "rpc", "--source", folder, "--initial-scale", "0", "--port", "h2c:8080"
        )
    authority = (("grpc.default_authority", f"rpc.default.localhost:{running.port}"),)
    with grpc.insecure_channel(f"127.0.0.1:{running.port}", options=authority) as channel:
        for state in ("cold", "warm"):
            answer, call = channel.unary_unary("/test.Echo/Echo").with_call(b"hi", timeout=30)
            assert (answer, dict(call.trailing_metadata())["trailer"]) == (b"hi", "there"), state
            chat = channel.stream_stream("/test.Echo/Chat")(iter([b"a", b"b"]), timeout=30)
            assert list(chat) == [b"a", b"b"], state
    running.hearth("delete", "rpc")


def test_large_bodies_pass_whole_in_both_directions(running, at_zero):
    name = at_zero("large", app__py=ECHO)
    body = b"0123456789" * 2_000_000
    for state in ("cold", "warm"):
        answer = running.call(name, method="POST", body=body)
        assert answer.headers["digest"] == hashlib.sha256(body).hexdigest(), state
        assert len(answer.body) == len(body), state


def test_what_a_client_sends_under_our_names_changes_nothing(running, at_zero):
    name = at_zero("forged", app__py=ECHO)
    forged = {
        "hearth-reply-status": "404", "hearth-reply-message": "forged", "hearth-retry": "1",
        "knative-serving-revision": "other", "knative-serving-namespace": "other",
        "hearth-tenant": "other", "address": "127.0.0.1:1",
    }  # fmt: skip
    for state in ("cold", "warm"):
        answer = running.call(name, headers=forged)
        assert answer.status == 200, (state, answer)
        got = answer.headers["got"].split(",")
        assert not {"hearth-reply-status", "hearth-reply-message", "hearth-retry"} & set(got)


def test_an_unknown_host_is_named_in_a_404(running):
    answer = running.call("nobody")
    assert answer.status == 404
    assert b"nobody.default.localhost" in answer.body


def test_many_requests_held_at_once_are_all_answered(running, at_zero):
    code = "import time\ntime.sleep(0.5)\ndef handle(request):\n    return 'here'\n"
    name = at_zero("held", app__py=code)
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda number: running.call(name).status, range(200)))
    assert answers == [200] * 200


def test_http2_without_tls_is_spoken_at_the_edge(running):
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as client:
        client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        assert client.recv(9)[3] == 4, "the answer begins with a SETTINGS frame"
