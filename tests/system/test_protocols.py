"""What travels through the gateway, to an app at zero and to one that is warm."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import itertools
import json
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
import websockets

from hearth.api.kinds import POD
from hearth.api.names import SERVICE_LABEL
from hearth.api.pods import app_address
from tests.system.running import EXAMPLES, command_line, eventually, processes_below

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
import hashlib, json
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
    got = json.dumps({name.decode(): value.decode() for name, value in scope["headers"]})
    headers = [(b"digest", digest.hexdigest().encode()), (b"got", got.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * size})
"""


@pytest.fixture
def at_zero(running, source):
    """Deploy an app at zero; gives its name."""
    names = []

    def make(name, *flags, folder=None, **files):
        folder = folder or source(**files)
        running.hearth("deploy", name, "--source", str(folder), "--initial-scale", "0", *flags)
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
        for number in range(3):
            assert response.readline() == b"data: %d\n" % number, state
            times.append(time.monotonic())
            response.readline()
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert min(gaps) > 0.15, f"{state}: events came together: {gaps}"
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


RPC = """
import os, grpc
from concurrent import futures
def echo(request, context):
    context.set_trailing_metadata((("trailer", "there"),))
    return request
def chat(requests, context):
    context.set_trailing_metadata((("trailer", "there"),))
    yield from requests
def refuse(request, context):
    context.abort(grpc.StatusCode.ALREADY_EXISTS, "said in the trailers")
raw = dict(request_deserializer=None, response_serializer=None)
handlers = {"Echo": grpc.unary_unary_rpc_method_handler(echo, **raw),
            "Refuse": grpc.unary_unary_rpc_method_handler(refuse, **raw),
            "Chat": grpc.stream_stream_rpc_method_handler(chat, **raw)}
server = grpc.server(futures.ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
server.add_insecure_port("0.0.0.0:" + os.environ["PORT"])
server.start()
server.wait_for_termination()
"""


def unary(channel):
    answer, call = channel.unary_unary("/test.Echo/Echo").with_call(b"hi", timeout=30)
    assert answer == b"hi"
    return call


def bidi(channel):
    """Each message is answered before the next one is sent."""
    answered = threading.Semaphore(0)

    def words():
        for word in (b"one", b"two", b"three"):
            yield word
            assert answered.acquire(timeout=30)

    call, got = channel.stream_stream("/test.Echo/Chat")(words(), timeout=30), []
    for word in call:
        got.append(word)
        answered.release()
    assert got == [b"one", b"two", b"three"]
    return call


@pytest.mark.parametrize("talk", [pytest.param(unary, id="unary"), pytest.param(bidi, id="bidi")])
def test_grpc_with_its_trailers(running, at_zero, talk):
    procfile = "web: python server.py\n"
    files = {"server__py": RPC, "Procfile": procfile}
    name = at_zero(f"rpc-{talk.__name__}", "--port", "h2c:8080", **files)
    authority = (("grpc.default_authority", f"{name}.default.localhost:{running.port}"),)
    with grpc.insecure_channel(f"127.0.0.1:{running.port}", options=authority) as channel:
        for state in ("cold", "warm"):
            call = talk(channel)
            assert dict(call.trailing_metadata())["trailer"] == "there", state
        with pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary("/test.Echo/Refuse")(b"", timeout=30)
        assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS
        assert refused.value.details() == "said in the trailers"


def test_large_bodies_pass_whole_in_both_directions(running, at_zero):
    name = at_zero("large", app__py=ECHO)
    body = b"0123456789" * 5_000_000
    for state in ("cold", "warm"):
        answer = running.call(name, method="POST", body=body)
        assert answer.headers["digest"] == hashlib.sha256(body).hexdigest(), state
        assert len(answer.body) == len(body), state


def pods_of(running, name):
    found = running.api(lambda client: client.list(POD, label_selector=f"{SERVICE_LABEL}={name}"))
    return found.items


def test_what_a_client_sends_under_our_names_changes_nothing(running, at_zero, tmp_path):
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "app.py").write_text("def handle(request):\n    return 'victim'\n")
    victim = at_zero("victim", folder=tmp_path / "victim")
    assert running.call(victim).body == b"victim"
    host, port = app_address(pods_of(running, victim)[0], 8080)
    address = f"{host}:{port}"
    name = at_zero("forged", app__py=ECHO)
    forged = {
        "hearth-reply-status": "404", "hearth-reply-message": "forged", "hearth-retry": "1",
        "knative-serving-revision": f"{victim}-00001", "knative-serving-namespace": "other",
        "hearth-tenant": "other", "address": address, "x-envoy-original-dst-host": address,
    }  # fmt: skip
    for state in ("cold", "warm"):
        answer = running.call(name, headers=forged)
        assert (answer.status, answer.body) == (200, b""), (state, answer)
        got = json.loads(answer.headers["got"])
        assert got["knative-serving-revision"] == "forged-00001", state
        assert got["knative-serving-namespace"] == "default", state
        assert not [n for n in got if n.startswith(("hearth-reply", "hearth-retry"))], state


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


def test_a_killed_instance_costs_no_get(running, at_zero):
    code = "import os\ndef handle(request):\n    return str(os.getpid())\n"
    scale = ("--annotation", "autoscaling.knative.dev/min-scale=6")
    name = at_zero("mortal", *scale, app__py=code)

    def answers(pool):
        return list(pool.map(lambda number: running.call(name), range(24)))

    with ThreadPoolExecutor(8) as pool:
        eventually(lambda: len({a.body for a in answers(pool)}) == 6, 30, "six instances answer")
        time.sleep(5)  # what ends sooner counts as an app that does not start
        named = [
            p for p in processes_below(running.process.pid) if f"{name}-00001" in command_line(p)
        ]
        for victim in named[:5]:
            assert {a.status for a in answers(pool)} == {200}  # and connections are kept
            os.kill(victim, signal.SIGKILL)
            assert {a.status for a in answers(pool)} == {200}


def test_http2_without_tls_is_spoken_at_the_edge(running):
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as client:
        client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        assert client.recv(9)[3] == 4, "the answer begins with a SETTINGS frame"
