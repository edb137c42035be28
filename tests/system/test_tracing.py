"""Traces and request IDs, with a collector of the test's own."""

from __future__ import annotations

import asyncio
import json
import secrets
import time

import aiohttp
import pytest

from hearth.api.kinds import CONFIG_MAP
from tests.system.collector import collector
from tests.system.running import eventually, up

#: Answers with its request's headers, and echoes what comes over a WebSocket.
APP = """
import json
async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": event["text"]})
        return
    if scope["type"] != "http":
        return
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    body = json.dumps(headers).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""
SERVER, CLIENT = 2, 3  #: kinds of spans


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("traces")
    source = folder / "app"
    source.mkdir()
    (source / "app.py").write_text(APP)
    with up(folder / "state", pool=3) as running:
        for name, flags in (("warm", []), ("cold", []), ("limited", ["--concurrency", "1"])):
            running.hearth("deploy", name, "--source", str(source), "--initial-scale", "0", *flags)
        yield running


@pytest.fixture(scope="module")
def sent():
    with collector() as found:
        yield found


@pytest.fixture
def configure(running):
    def apply(**data):
        wire = {
            "metadata": {"name": "config-observability", "namespace": "knative-serving"},
            "data": {name.replace("_", "-"): text for name, text in data.items()},
        }
        running.api(lambda client: client.apply(CONFIG_MAP, wire))
        time.sleep(0.5)  # until Envoy has it: nothing says so to those who call

    yield apply
    apply()


def seen_by(running, name, **headers):
    answer = running.call(name, headers={k.replace("_", "-"): v for k, v in headers.items()})
    assert answer.status == 200
    return json.loads(answer.body)


def traceparent(flags="01"):
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    return trace, span, f"00-{trace}-{span}-{flags}"


def test_a_trace_passes_untouched_where_nothing_is_traced(running, configure):
    configure()
    _, _, header = traceparent()
    seen = seen_by(running, "warm", traceparent=header, tracestate="a=1,b=2")
    assert (seen["traceparent"], seen["tracestate"]) == (header, "a=1,b=2")
    assert "traceparent" not in seen_by(running, "warm")


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_traced_request_is_a_span_of_ours_below_its_callers(running, configure, sent, protocol):
    endpoint = sent.grpc if protocol == "grpc" else sent.http
    configure(tracing_protocol=protocol, tracing_endpoint=endpoint, tracing_sampling_rate="0")
    seen_by(running, "warm")
    trace, span, header = traceparent()
    seen = seen_by(running, "warm", traceparent=header, tracestate="a=1")
    spans = eventually(lambda: len(sent.of(trace)) >= 2 and sent.of(trace), 10, "spans came")
    [server] = [each for each in spans if each.kind == SERVER]
    [client] = [each for each in spans if each.kind == CLIENT]
    assert (server.parent, client.parent) == (span, server.span)
    assert seen["traceparent"] == f"00-{trace}-{client.span}-01"
    assert seen["tracestate"] == "a=1"
    assert server.service == "hearth-gateway"
    assert server.tags["kn.revision.name"] == "warm-00001"
    assert server.tags["k8s.namespace.name"] == "default"
    assert server.tags["http.status_code"] == "200"
    assert server.begin_ns <= client.begin_ns <= client.end_ns <= server.end_ns


def test_whoever_says_not_to_sample_is_not_sampled(running, configure, sent):
    configure(tracing_protocol="grpc", tracing_endpoint=sent.grpc, tracing_sampling_rate="1")
    trace, _, header = traceparent("00")
    seen = seen_by(running, "warm", traceparent=header)
    assert seen["traceparent"].startswith(f"00-{trace}-")
    assert seen["traceparent"].endswith("-00")
    time.sleep(2)
    assert not sent.of(trace)


@pytest.mark.parametrize(("rate", "flags"), [("1", "01"), ("0", "00")])
def test_of_requests_without_a_trace_a_share_begins_one(running, configure, sent, rate, flags):
    configure(tracing_protocol="grpc", tracing_endpoint=sent.grpc, tracing_sampling_rate=rate)
    seen = seen_by(running, "warm")
    version, trace, _, sampled = seen["traceparent"].split("-")
    assert (version, sampled) == ("00", flags)
    if rate == "1":
        eventually(lambda: sent.of(trace), 10, "its spans came")


@pytest.mark.parametrize("name", ["cold", "limited"])
def test_an_activation_is_a_span_with_its_phases(running, configure, sent, name):
    configure(tracing_protocol="grpc", tracing_endpoint=sent.grpc, tracing_sampling_rate="0")
    trace, _, header = traceparent()
    seen_by(running, name, traceparent=header)

    def came():
        spans = sent.of(trace)
        wanted = {"activate", "claimed", "injected", "listening"} <= {each.name for each in spans}
        return wanted and any(each.kind == CLIENT for each in spans) and spans

    spans = eventually(came, 10, "the spans came")
    [activate] = [each for each in spans if each.name == "activate"]
    [client] = [each for each in spans if each.kind == CLIENT]
    assert activate.parent == client.span
    assert activate.tags["hearth.source"] == "pool"
    phases = [each for each in spans if each.parent == activate.span]
    assert [each.name for each in sorted(phases, key=lambda each: each.end_ns)] == [
        "claimed", "injected", "listening",
    ]  # fmt: skip
    assert all(each.end_ns <= activate.end_ns + 1_000_000 for each in phases)


def test_a_collector_that_is_away_fails_no_request(running, configure):
    configure(
        tracing_protocol="http/protobuf",
        tracing_endpoint="http://127.0.0.1:9/v1/traces",
        tracing_sampling_rate="1",
    )
    assert "traceparent" in seen_by(running, "warm")


def test_a_change_of_tracing_cuts_nothing(running, configure, sent):
    configure()
    url = f"http://127.0.0.1:{running.port}/"
    headers = {"Host": f"warm.default.localhost:{running.port}"}

    async def story():
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, headers=headers) as socket,
        ):
            statuses = []

            async def call():
                while not done.is_set():
                    async with session.get(url, headers=headers) as response:
                        await response.read()
                        statuses.append(response.status)

            done = asyncio.Event()
            calls = [asyncio.create_task(call()) for _ in range(4)]
            for _ in range(2):
                await asyncio.to_thread(
                    configure,
                    tracing_protocol="grpc",
                    tracing_endpoint=sent.grpc,
                    tracing_sampling_rate="1",
                )
                await asyncio.to_thread(configure)
            done.set()
            await asyncio.gather(*calls)
            await socket.send_str("still here")
            return statuses, await socket.receive_str(timeout=5)

    statuses, said = asyncio.run(story())
    assert set(statuses) == {200}
    assert said == "still here"


def test_a_request_has_an_id_that_strangers_do_not_choose(running, configure):
    configure()
    made = {seen_by(running, "warm", x_request_id="mine")["x-request-id"] for _ in range(2)}
    assert len(made) == 2
    assert "mine" not in made
    assert all(len(each) == 36 for each in made)


def test_a_request_from_inside_keeps_its_id(running, configure):
    configure()
    inside = json.loads((running.state / "gateway" / "listeners.json").read_text())["resources"]
    [listener] = [each for each in inside if each["name"] == "inside"]
    at = listener["address"]["socket_address"]

    async def call():
        headers = {"Host": "warm.default", "x-request-id": "from-a-pod"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{at['address']}:{at['port_value']}/", headers=headers) as response,
        ):
            return await response.json(content_type=None)

    assert asyncio.run(call())["x-request-id"] == "from-a-pod"
