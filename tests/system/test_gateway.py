"""What the gateway promises to requests: a real Envoy, a scripted autoscaler, small instances."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import select
import time
from collections import Counter

import aiohttp
import grpc.aio
import pytest

from hearth.api.activation import Activation, ActivationFailure
from hearth.api.kinds import POD, ROUTE
from hearth.api.meta import resource_version_of
from hearth.gateway.sockets import can_migrate
from tests.system.edge import Edge, backend, kill, open_edge, play, until


@pytest.fixture
def on_edge(tmp_path):
    """Play a story with a gateway and one instance."""

    def run(story):
        async def whole():
            async with open_edge(tmp_path / "gateway") as edge, backend("b1") as b1:
                await story(edge, b1)

        play(whole)

    return run


async def service_with(edge: Edge, name: str, state: str, address: str, **more):
    """A service whose instance is routable (warm), or given by the autoscaler only (cold)."""
    revision = await edge.service(name, **more)
    if state == "warm":
        edge.pod(f"{name}-pod", revision, int(address.rpartition(":")[2]))
        await edge.has_instance(revision)
    await edge.autoscaler.answers(revision, address)
    return revision


COLD_AND_WARM = pytest.mark.parametrize("state", ["cold", "warm"])


# Names and shares


def test_a_service_is_reached_by_all_its_names_with_and_without_port(on_edge):
    async def story(edge, b1):
        await service_with(edge, "a", "warm", b1.address)
        inside = edge.gateway.inside_port
        for port in ("", f":{edge.port}", ":80"):
            assert await edge.get("a", host=f"a.default.localhost{port}") == (200, "b1")
            for domain in (".localhost", ".svc.cluster.local", ".svc", ""):
                host = f"a.default{domain}{port}"
                assert await edge.get("a", host=host, at=inside) == (200, "b1")

    on_edge(story)


@pytest.mark.parametrize("host", ["A.Default.LOCALHOST", "a.default.localhosT:80"])
def test_a_host_is_the_same_in_any_case(on_edge, host):
    async def story(edge, b1):
        await service_with(edge, "a", "warm", b1.address)
        assert await edge.get("a", host=host) == (200, "b1")
        inside = {"host": "A.Default.SVC", "at": edge.gateway.inside_port}
        assert await edge.get("a", **inside) == (200, "b1")
        assert (await edge.get("a", host="Other.Default.localhost"))[0] == 404

    on_edge(story)


def test_what_is_for_inside_alone_is_not_there_from_outside(on_edge):
    async def story(edge, b1):
        await service_with(edge, "a", "warm", b1.address)
        await edge.route("a", {"revisionName": "a-00001", "percent": 100}, local=True)
        inside = edge.gateway.inside_port
        for host in ("a.default.localhost", "a.default.svc.cluster.local", "a.default"):
            assert (await edge.get("a", host=host))[0] == 404
        assert (await edge.get("a", host="a.default.svc.cluster.local", at=inside))[0] == 200
        assert (await edge.get("a", host="a.default.localhost", at=inside))[0] == 404

    on_edge(story)


def test_a_domain_mapping_leads_to_its_route_and_follows_it(on_edge):
    async def story(edge, b1):
        await service_with(edge, "a", "warm", b1.address)
        await edge.mapping("shop.example.com", "a")
        for at in (edge.port, edge.gateway.inside_port):
            assert await edge.get("a", host="shop.example.com", at=at) == (200, "b1")
        async with backend("b2") as b2:
            await service_with(edge, "b", "warm", b2.address)
            await edge.mapping("shop.example.com", "b")
            assert await edge.get("a", host="shop.example.com") == (200, "b2")
            await edge.mapping("shop.example.com", "b", claimed=False)
            assert (await edge.get("a", host="shop.example.com"))[0] == 404

    on_edge(story)


def test_a_host_that_two_routes_want_is_the_first_ones_until_it_goes(on_edge):
    async def story(edge, b1):
        await service_with(edge, "a", "warm", b1.address)
        async with backend("b2") as b2:
            await service_with(edge, "b", "warm", b2.address)
            await edge.mapping("a.default.localhost", "b")
            assert await edge.get("a") == (200, "b1")
            edge.api.remove(ROUTE, "a")
            for _ in range(200):
                if (found := await edge.get("a")) == (200, "b2"):
                    break
                await asyncio.sleep(0.02)
            assert found == (200, "b2")

    on_edge(story)


def test_an_unknown_host_is_named_in_a_404(on_edge):
    async def story(edge, b1):
        status, body = await edge.get("nobody")
        assert (status, f"nobody.default.localhost:{edge.port}" in body) == (404, True)

    on_edge(story)


def test_requests_are_shared_by_percent_and_tags_reach_one_revision(on_edge):
    async def story(edge, b1):
        async with backend("b2") as b2:
            for revision, instance in (("s-00001", b1), ("s-00002", b2)):
                edge.revision(revision)
                edge.pod(f"pod-of-{revision}", revision, instance.port)
            await edge.route(
                "s",
                {"revisionName": "s-00001", "percent": 80},
                {"revisionName": "s-00002", "percent": 20, "tag": "next"},
            )
            seen = Counter([await task for task in edge.gets(500, "s")])
            assert set(seen) == {(200, "b1"), (200, "b2")}
            assert 60 <= seen[200, "b2"] <= 145  # 100 expected, 4.5 deviations
            assert await edge.get("next-s") == (200, "b2")

    on_edge(story)


def test_a_tags_header_picks_the_tag_where_the_status_says_so(on_edge):
    async def story(edge, b1):
        async with backend("b2") as b2:
            for revision, instance in (("s-00001", b1), ("s-00002", b2)):
                edge.revision(revision)
                edge.pod(f"pod-of-{revision}", revision, instance.port)
            traffic = (
                {"revisionName": "s-00001", "percent": 100},
                {"revisionName": "s-00002", "percent": 0, "tag": "next"},
            )
            picks = {"Knative-Serving-Tag": "next"}
            await edge.route("s", *traffic)
            assert await edge.get("s", headers=picks) == (200, "b1")
            await edge.route("s", *traffic, tag_headers="enabled")
            for method in ("GET", "POST"):
                async with edge.request("s", method=method, headers=picks) as answer:
                    assert await answer.text() == "b2"
            other = {"Knative-Serving-Tag": "nope"}
            assert await edge.get("s", headers=other) == (200, "b1")

            async def told(name, headers):
                _, text = await edge.get(name, "/headers", headers=headers)
                names = ("knative-serving-tag", "knative-serving-default-route")
                return tuple(json.loads(text).get(name) for name in names)

            assert await told("s", {}) == (None, "true")
            assert await told("s", other) == ("nope", "true")
            assert await told("s", picks) == ("next", None)
            assert await told("next-s", {}) == ("next", None)

    on_edge(story)


# What travels


@COLD_AND_WARM
def test_websockets_pass(on_edge, state):
    async def story(edge, b1):
        await service_with(edge, "ws", state, b1.address)
        headers = {"Host": "ws.default.localhost"}
        url = f"http://127.0.0.1:{edge.port}/ws"
        async with edge.session.ws_connect(url, headers=headers) as socket:
            for word in ("one", "two"):
                await socket.send_str(word)
                assert await socket.receive_str(timeout=5) == f"b1 {word}"

    on_edge(story)


@COLD_AND_WARM
def test_events_come_as_they_are_sent(on_edge, state):
    async def story(edge, b1):
        await service_with(edge, "sse", state, b1.address)
        async with edge.request("sse", "/events") as response:
            assert await response.content.readline() == b"data: first\n"
            b1.go_on.set()
            assert (await response.content.read()).endswith(b"data: second\n\n")

    on_edge(story)


class Echo(grpc.GenericRpcHandler):
    """``/echo/unary`` and ``/echo/bidi`` over bytes."""

    def service(self, details):
        if details.method == "/echo/unary":
            return grpc.unary_unary_rpc_method_handler(self.unary)
        return grpc.stream_stream_rpc_method_handler(self.bidi)

    async def unary(self, request, context):
        context.set_trailing_metadata((("trailer", "there"),))
        return request

    async def bidi(self, requests, context):
        async for request in requests:
            yield request


@contextlib.asynccontextmanager
async def grpc_backend():
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Echo(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


def channel_to(edge, name):
    options = [("grpc.default_authority", f"{name}.default.localhost:{edge.port}")]
    return grpc.aio.insecure_channel(f"127.0.0.1:{edge.port}", options=options)


@COLD_AND_WARM
def test_grpc_calls_and_streams_pass(on_edge, state):
    async def story(edge, b1):
        async with grpc_backend() as address, channel_to(edge, "rpc") as channel:
            await service_with(edge, "rpc", state, address, h2c=True)
            bidi = channel.stream_stream("/echo/bidi")(timeout=10)
            for word in (b"one", b"two"):
                await bidi.write(word)
                assert await bidi.read() == word
            await bidi.done_writing()
            call = channel.unary_unary("/echo/unary")(b"hi", timeout=10)
            assert await call == b"hi"
            assert ("trailer", "there") in tuple(await call.trailing_metadata())

    on_edge(story)


def test_a_grpc_client_reads_why_there_is_no_instance(on_edge):
    async def story(edge, b1):
        revision = await edge.service("rpc", h2c=True)
        failure = ActivationFailure(503, "CodeInvalid", "no module named flask")
        await edge.autoscaler.answers(revision, failure)
        async with channel_to(edge, "rpc") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await channel.unary_unary("/echo/unary")(b"hi", timeout=10)
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
        assert "CodeInvalid: no module named flask" in raised.value.details()

    on_edge(story)


def rss_mib(pid):
    with open(f"/proc/{pid}/status") as file:
        [line] = [line for line in file if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def test_a_body_of_50_mb_is_held_outside_and_passes_whole(on_edge):
    async def story(edge, b1):
        revision = await edge.service("big")
        size = 50 * 10**6
        post = asyncio.create_task(edge.get("big", method="POST", data=io.BytesIO(b"x" * size)))
        await edge.held(1, revision)
        assert rss_mib(edge.envoy) < 150
        await edge.autoscaler.answers(revision, b1.address)
        assert await post == (200, f"b1 {size}")

    on_edge(story)


# Trust


@COLD_AND_WARM
def test_no_client_can_choose_where_its_request_goes_or_how_it_is_answered(on_edge, state):
    async def story(edge, b1):
        async with backend("victim") as victim:
            other = await service_with(edge, "other", "warm", victim.address)
            revision = await service_with(edge, "mine", state, b1.address)
            forged = {
                "address": victim.address,
                "x-envoy-original-dst-host": victim.address,
                "knative-serving-revision": other,
                "knative-serving-namespace": "elsewhere",
                "hearth-tenant": "acme",
                "hearth-reply-status": "404",
                "hearth-reply-message": "forged",
                "hearth-retry": "1",
                "x-envoy-attempt-count": "9",
            }
            status, body = await edge.get("mine", "/headers", headers=forged)
            assert status == 200
            got = json.loads(body)
            assert got["knative-serving-revision"] == revision
            assert got["knative-serving-namespace"] == "default"
            assert got["hearth-tenant"] == "root"
            assert not [name for name in got if name.startswith(("hearth-reply", "hearth-retry"))]
            assert victim.requests == 0
            asked = [(r.tenant, r.namespace, r.revision) for r in edge.autoscaler.asked]
            assert asked == ([("root", "default", revision)] if state == "cold" else [])

    on_edge(story)


# Holding


def test_held_requests_cost_one_activation_and_are_all_released(on_edge):
    async def story(edge, b1):
        revision = await edge.service("many")
        tasks = edge.gets(2000, "many")
        await edge.held(2000, revision)
        assert len(edge.autoscaler.asked) == 1
        await edge.autoscaler.answers(revision, b1.address)
        assert Counter(await asyncio.gather(*tasks)) == {(200, "b1"): 2000}

    on_edge(story)


def test_a_pod_that_appears_frees_held_requests_without_the_autoscaler(on_edge):
    async def story(edge, b1):
        revision = await edge.service("seen")
        tasks = edge.gets(10, "seen")
        await edge.held(10, revision)
        edge.pod("seen-pod", revision, b1.port)
        assert set(await asyncio.gather(*tasks)) == {(200, "b1")}

    on_edge(story)


@pytest.mark.parametrize(
    ("failure", "status", "said"),
    [
        pytest.param(
            ActivationFailure(503, "CodeInvalid", 'cannot import "app": no module named flask'),
            503, 'CodeInvalid: cannot import "app": no module named flask', id="503",
        ),
        pytest.param(ActivationFailure(429, "Quota", "enough"), 429, "Quota: enough", id="429"),
        pytest.param(
            ActivationFailure(418, "Odd", "line one\r\nx-injected: yes"), 503,
            "Odd: line one | x-injected: yes", id="neither-lines-nor-unknown-statuses",
        ),
    ],
)  # fmt: skip
def test_why_there_is_no_instance_is_what_the_client_reads(on_edge, failure, status, said):
    async def story(edge, b1):
        revision = await edge.service("fails")
        await edge.autoscaler.answers(revision, failure)
        async with edge.request("fails") as response:
            assert (response.status, (await response.text()).strip()) == (status, said)
            assert "x-injected" not in response.headers

    on_edge(story)


def test_a_hold_that_takes_too_long_ends_with_504_and_a_sentence(on_edge):
    async def story(edge, b1):
        await edge.service("slow", timeoutSeconds=1)
        started = time.monotonic()
        status, body = await edge.get("slow")
        assert (status, 0.8 < time.monotonic() - started < 2) == (504, True)
        assert "default/slow-00001" in body
        assert "1 s" in body

    on_edge(story)


def test_an_autoscaler_that_is_away_costs_time_and_no_request(on_edge):
    async def story(edge, b1):
        revision = await edge.service("away")
        away = [ConnectionError("refused")] * 3
        await edge.autoscaler.answers(revision, *away, Activation("p", b1.address))
        assert await edge.get("away") == (200, "b1")

    on_edge(story)


def test_clients_that_leave_are_not_held_and_those_that_stay_are_served(on_edge):
    async def story(edge, b1):
        revision = await edge.service("left")
        leaving, staying = edge.gets(20, "left"), edge.gets(5, "left")
        await edge.held(25, revision)
        for task in leaving:
            task.cancel()
        await edge.held(5, revision)
        await edge.autoscaler.answers(revision, b1.address)
        assert set(await asyncio.gather(*staying)) == {(200, "b1")}
        assert b1.requests == 5

    on_edge(story)


def test_the_phases_are_told_to_those_who_ask(on_edge):
    async def story(edge, b1):
        revision = await edge.service("timed")
        phases = {"claimed": 0.001, "injected": 0.004, "listening": 0.009}
        await edge.autoscaler.answers(revision, Activation("p", b1.address, phases, "pool"))
        async with edge.request("timed", headers={"hearth-timing": "1"}) as response:
            said = response.headers["server-timing"]
        names = [part.split(";")[0].strip() for part in said.split(",")]
        assert names == ["held", "claimed", "injected", "listening", "released"]
        async with edge.request("timed") as response:
            assert "server-timing" not in response.headers

    on_edge(story)


# Faults


def test_a_dead_instance_costs_no_request(on_edge):
    async def story(edge, b1):
        async with backend("dead") as dead:
            revision = await edge.service("d")
            edge.pod("dead-pod", revision, dead.port)
            assert await edge.get("d") == (200, "dead")
        gone = Activation("p", dead.address)
        await edge.autoscaler.answers(revision, gone, gone, b1.address)
        assert Counter(await asyncio.gather(*edge.gets(20, "d"))) == {(200, "b1"): 20}

    on_edge(story)


def test_an_instance_that_dies_before_it_was_reached_costs_no_request(on_edge):
    async def story(edge, b1):
        async with backend("dead") as dead:
            pass
        revision = await edge.service("d")
        await edge.autoscaler.answers(revision, dead.address, b1.address)
        assert Counter(await asyncio.gather(*edge.gets(20, "d"))) == {(200, "b1"): 20}

    on_edge(story)


@contextlib.asynccontextmanager
async def mortal():
    """An instance that answers its first request and dies of its second; it counts the others."""
    seen = []

    async def talk(reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.closing(writer):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                seen.append(1)
                if len(seen) > 1:
                    return
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nb0")

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], seen


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_an_instance_that_dies_of_a_kept_connection_costs_no_safe_request(on_edge, method):
    async def story(edge, b1):
        async with mortal() as (port, _):
            revision = await edge.service("m")
            edge.pod("m-pod", revision, port)
            assert await edge.get("m") == (200, "b0")
            await edge.autoscaler.answers(revision, Activation("p", b1.address))
            answer = (200, "" if method == "HEAD" else "b1")
            assert await edge.get("m", method=method) == answer
            assert b1.requests == 1

    on_edge(story)


@pytest.mark.parametrize(("method", "times"), [("POST", 1), ("PATCH", 1), ("GET", 2)])
def test_a_request_that_kills_its_app_is_not_repeated_or_only_once(on_edge, method, times):
    async def story(edge, b1):
        async with mortal() as (port, seen):
            revision = await edge.service("m")
            edge.pod("m-pod", revision, port)
            assert await edge.get("m") == (200, "b0")
            await edge.autoscaler.answers(revision, Activation("p", f"127.0.0.1:{port}"))
            status, said = await edge.get("m", method=method)
            assert (status, len(seen) - 1) == (502, times)
            assert said == "the instance ended before it answered\n"

    on_edge(story)


def test_flipping_between_zero_and_one_fails_no_request(on_edge):
    async def story(edge, b1):
        revision = await service_with(edge, "flip", "warm", b1.address)
        stop, seen = asyncio.Event(), Counter()

        async def calls():
            while not stop.is_set():
                seen[await edge.get("flip")] += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(calls())
            for number in range(150):
                edge.pod("flip-pod", revision, b1.port, ready=bool(number % 2))
                await asyncio.sleep(0.02)
            stop.set()
        assert set(seen) == {(200, "b1")}
        assert seen.total() > 500
        assert edge.autoscaler.asked, "some requests came while it was at zero"

    on_edge(story)


def test_envoy_killed_serves_again_on_the_same_port_within_a_second(on_edge):
    async def story(edge, b1):
        await service_with(edge, "k", "warm", b1.address)
        await service_with(edge, "c", "cold", b1.address)
        was = edge.envoy
        kill(was)
        killed = time.monotonic()
        for name in ("k", "c"):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    if await edge.get(name) == (200, "b1"):
                        break
                assert time.monotonic() - killed < 1
                await asyncio.sleep(0.02)
        assert edge.envoy != was

    on_edge(story)


@pytest.mark.skipif(not can_migrate(), reason="needs root, for net.ipv4.tcp_migrate_req")
def test_who_connects_while_there_is_no_envoy_waits_for_the_next_one(on_edge):
    async def story(edge, b1):
        await service_with(edge, "k", "warm", b1.address)
        await service_with(edge, "c", "cold", b1.address)
        dying = os.pidfd_open(edge.envoy)
        kill(edge.envoy)
        select.select([dying], [], [], 5)  # what comes before its end is in its hands
        os.close(dying)
        asked = [*edge.gets(50, "k"), *edge.gets(5, "c")]
        assert set(await asyncio.gather(*asked)) == {(200, "b1")}

    on_edge(story)


def test_an_app_cannot_have_its_requests_repeated(on_edge):
    async def story(edge, b1):
        await service_with(edge, "odd", "warm", b1.address)
        assert await edge.get("odd", "/?retry") == (200, "b1")
        assert b1.requests == 1

    on_edge(story)


def test_an_app_that_hangs_is_told_from_one_that_is_not_there(on_edge):
    async def story(edge, b1):
        await service_with(edge, "hangs", "warm", b1.address, timeoutSeconds=1)
        status, body = await edge.get("hangs", "/wait")
        b1.go_on.set()
        assert (status, body, b1.requests) == (504, "request timeout\n", 1)

    on_edge(story)


# What the gateway says of itself


def test_requests_in_flight_are_told_exactly_and_silence_once(on_edge):
    async def story(edge, b1):
        revision = await service_with(edge, "busy", "warm", b1.address)
        await asyncio.sleep(0.3)  # Envoy counts from a cluster's second report on
        tasks = [asyncio.create_task(edge.get("busy", "/wait")) for _ in range(7)]
        await until(lambda: (s := edge.autoscaler.last(revision)) and s.in_flight == 7)
        b1.go_on.set()
        await asyncio.gather(*tasks)
        await until(lambda: edge.autoscaler.last(revision).in_flight == 0)
        await until(lambda: edge.autoscaler.last(revision).requests == 0)
        count = len(edge.autoscaler.stats[revision])
        await asyncio.sleep(0.5)
        assert len(edge.autoscaler.stats[revision]) == count
        assert sum(stat.requests for stat in edge.autoscaler.stats[revision]) == 7

    on_edge(story)


def test_a_request_let_go_from_the_hold_is_in_flight_until_it_ends(on_edge):
    async def story(edge, b1):
        revision = await edge.service("long")
        task = asyncio.create_task(edge.get("long", "/wait"))
        await edge.held(1, revision)
        await edge.autoscaler.answers(revision, b1.address)
        await until(lambda: b1.requests == 1)
        await asyncio.sleep(0.5)
        last = edge.autoscaler.last(revision)
        assert (last.in_flight, last.held) == (1, 0)
        b1.go_on.set()
        await task
        await until(lambda: edge.autoscaler.last(revision).in_flight == 0)

    on_edge(story)


def test_a_route_is_programmed_only_when_all_its_revisions_are_known(on_edge):
    async def story(edge, b1):
        edge.api.put(ROUTE, {"metadata": {"name": "r"}, "spec": {}})
        traffic = {
            "url": "http://r.default.localhost",
            "traffic": [{"revisionName": "r-00001", "percent": 100}],
        }
        wanted = int(resource_version_of(edge.api.set_status(ROUTE, "r", traffic)))
        await asyncio.sleep(0.2)
        assert edge.programmed < wanted
        assert (await edge.get("r"))[0] == 404
        edge.revision("r-00001")
        edge.pod("r-pod", "r-00001", b1.port)
        await until(lambda: edge.programmed >= wanted)
        assert await edge.get("r") == (200, "b1")

    on_edge(story)


def test_what_is_deleted_is_not_found_and_comes_back_when_made_again(on_edge):
    async def story(edge, b1):
        revision = await service_with(edge, "x", "warm", b1.address)
        assert await edge.get("x") == (200, "b1")
        edge.api.remove(ROUTE, "x")
        edge.api.remove(POD, "x-pod")
        deadline = time.monotonic() + 5
        while (await edge.get("x"))[0] != 404:
            assert time.monotonic() < deadline
        await edge.service("x")
        await edge.autoscaler.answers(revision, b1.address)
        assert await edge.get("x") == (200, "b1")

    on_edge(story)
