"""What an Envoy is sent, and what it is known to have."""

from __future__ import annotations

import asyncio

import grpc.aio
import pytest
from envoy.service.discovery.v3 import ads_pb2_grpc
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest
from envoy.service.load_stats.v3 import lrs_pb2, lrs_pb2_grpc
from google.protobuf.duration_pb2 import Duration

from hearth.gateway.xds import CLUSTER, ENDPOINTS, Resources, serve_xds
from tests.unit.virtual import run_virtual


def message(seconds=1):
    return Duration(seconds=seconds)


def asks(kind=CLUSTER, *names, known=None, drops=()):
    return DeltaDiscoveryRequest(
        type_url=kind,
        resource_names_subscribe=names,
        resource_names_unsubscribe=drops,
        initial_resource_versions=known or {},
    )


def takes(response, error=""):
    request = DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
    if error:
        request.error_detail.message = error
    return request


async def answer(stream):
    """Names sent and names taken away of the next response, which is taken."""
    response = await stream.next()
    stream.receive(takes(response))
    return [r.name for r in response.resources], list(response.removed_resources)


@pytest.fixture
def run():
    """Play a story with resources."""

    def play(act):
        async def whole():
            return await act(Resources())

        return run_virtual(whole())[0]

    return play


def test_who_asks_for_all_gets_all_and_then_what_changes(run):
    async def act(resources):
        resources.put(CLUSTER, {"a": message(), "b": message()})
        stream = resources.open()
        stream.receive(asks())
        got = [await answer(stream)]
        resources.put(CLUSTER, {"b": message(2), "c": message()})
        got.append(await answer(stream))
        resources.remove(CLUSTER, ["a", "unknown"])
        got.append(await answer(stream))
        return got, stream.queue.empty(), resources.names(CLUSTER)

    got, idle, names = run(act)
    assert got == [(["a", "b"], []), (["b", "c"], []), ([], ["a"])]
    assert (idle, names) == (True, {"b", "c"})


def test_who_asks_for_names_gets_only_those(run):
    async def act(resources):
        resources.put(ENDPOINTS, {"a": message(), "b": message()})
        stream = resources.open()
        stream.receive(asks(ENDPOINTS, "a", "later"))
        got = [await answer(stream)]
        resources.put(ENDPOINTS, {"b": message(2)})
        assert stream.queue.empty()
        resources.put(ENDPOINTS, {"later": message()})
        got.append(await answer(stream))
        stream.receive(asks(ENDPOINTS, drops=["a"]))
        resources.put(ENDPOINTS, {"a": message(3)})
        return got, stream.queue.empty()

    assert run(act) == ([(["a"], ["later"]), (["later"], [])], True)


def test_all_and_a_name_may_be_asked_for_together(run):
    async def act(resources):
        resources.put(CLUSTER, {"a": message(), "b": message()})
        stream = resources.open()
        stream.receive(asks(CLUSTER, "*", "a"))
        return await answer(stream), stream.queue.empty()

    assert run(act) == ((["a", "b"], []), True)


def test_an_envoy_is_not_left_waiting_when_there_is_nothing_yet(run):
    async def act(resources):
        stream = resources.open()
        stream.receive(asks())
        return await answer(stream)

    assert run(act) == ([], [])


def test_what_changed_before_an_envoy_asked_for_a_kind_does_not_hide_it(run):
    async def act(resources):
        stream = resources.open()
        resources.put(CLUSTER, {"a": message()})
        stream.receive(asks())
        return await answer(stream)

    assert run(act) == (["a"], [])


def test_changes_that_nobody_took_yet_are_sent_together(run):
    async def act(resources):
        stream = resources.open()
        stream.receive(asks())
        await answer(stream)
        for name in ("a", "b", "a"):
            resources.put(CLUSTER, {name: message()})
        resources.remove(CLUSTER, ["b"])
        return await answer(stream), stream.queue.empty()

    assert run(act) == ((["a"], ["b"]), True)


def test_an_envoy_that_reconnects_gets_only_what_differs(run):
    async def act(resources):
        resources.put(CLUSTER, {"same": message(), "old": message(), "gone": message()})
        first = resources.open()
        first.receive(asks())
        known = {r.name: r.version for r in (await first.next()).resources}
        resources.close(first)
        resources.put(CLUSTER, {"old": message(2), "new": message()})
        resources.remove(CLUSTER, ["gone"])
        again = resources.open()
        again.receive(asks(known=known))
        await resources.wait_acknowledged(CLUSTER, ["same"])
        got = await answer(again)
        await resources.wait_acknowledged(CLUSTER, ["same", "old", "new", "gone"])
        return got

    assert run(act) == (["new", "old"], ["gone"])


def test_an_envoy_that_has_all_is_sent_nothing(run):
    async def act(resources):
        resources.put(CLUSTER, {"a": message()})
        waiting = asyncio.create_task(resources.wait_acknowledged(CLUSTER, ["a"]))
        await asyncio.sleep(0)
        stream = resources.open()
        known = resources.get(CLUSTER, "a").version
        stream.receive(asks(known={"a": known}))
        await waiting
        return stream.queue.empty()

    assert run(act)


def test_waiting_ends_when_the_newest_version_is_taken(run):
    async def act(resources):
        stream = resources.open()
        stream.receive(asks())
        await answer(stream)
        resources.put(CLUSTER, {"a": message()})
        old = await stream.next()
        resources.put(CLUSTER, {"a": message(2)})
        waiting = asyncio.create_task(resources.wait_acknowledged(CLUSTER, ["a"]))
        stream.receive(takes(old))
        await asyncio.sleep(0)
        assert not waiting.done(), "it is the older version that was taken"
        await answer(stream)
        await waiting

    run(act)


def test_waiting_ends_when_what_was_waited_for_is_gone(run):
    async def act(resources):
        resources.put(CLUSTER, {"a": message()})
        waiting = asyncio.create_task(resources.wait_acknowledged(CLUSTER, ["a"]))
        await asyncio.sleep(0)
        resources.remove(CLUSTER, ["a"])
        await waiting

    run(act)


def test_what_an_envoy_has_left_is_not_known_to_be_there(run):
    async def act(resources):
        resources.put(ENDPOINTS, {"a": message()})
        stream = resources.open()
        stream.receive(asks(ENDPOINTS, "a"))
        await answer(stream)
        stream.receive(asks(ENDPOINTS, drops=["a"]))
        waiting = asyncio.create_task(resources.wait_acknowledged(ENDPOINTS, ["a"]))
        await asyncio.sleep(0)
        assert not waiting.done()
        stream.receive(asks(ENDPOINTS, "a"))
        await answer(stream)
        await waiting

    run(act)


def test_what_an_envoy_rejects_is_counted_logged_and_not_acknowledged(run, caplog):
    async def act(resources):
        resources.put(CLUSTER, {"a": message()})
        stream = resources.open()
        stream.receive(asks())
        stream.receive(takes(await stream.next(), error="no such field"))
        waiting = asyncio.create_task(resources.wait_acknowledged(CLUSTER, ["a"]))
        await asyncio.sleep(0)
        assert not waiting.done()
        resources.put(CLUSTER, {"a": message(2)})
        await answer(stream)
        await waiting
        return resources.rejected

    assert run(act) == 1
    [record] = caplog.records
    assert record.f == {"type": CLUSTER, "names": ["a"], "error": "no such field"}


def test_an_answer_to_nothing_that_was_sent_is_ignored(run):
    async def act(resources):
        stream = resources.open()
        stream.receive(DeltaDiscoveryRequest(type_url=CLUSTER, response_nonce="99"))
        return await answer(stream)

    assert run(act) == ([], [])


async def talk(path):
    """An Envoy's two streams over a socket."""
    resources, reports = Resources(), asyncio.Queue()
    resources.put(CLUSTER, {"a": message()})
    server = await serve_xds(resources, f"unix:{path}", reports.put_nowait, 0.25)
    try:
        async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
            ads = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel)
            stream = ads.DeltaAggregatedResources()
            await stream.write(asks())
            response = await stream.read()
            await stream.write(takes(response))
            await resources.wait_acknowledged(CLUSTER, ["a"])
            stream.cancel()

            lrs = lrs_pb2_grpc.LoadReportingServiceStub(channel).StreamLoadStats()
            await lrs.write(lrs_pb2.LoadStatsRequest())
            wanted = await lrs.read()
            report = lrs_pb2.LoadStatsRequest(cluster_stats=[{"cluster_name": "root/default/a"}])
            await lrs.write(report)
            reported = await reports.get()
            lrs.cancel()
    finally:
        await server.stop(None)
    return response, wanted, reported.cluster_stats[0].cluster_name


def test_an_envoy_gets_configuration_and_reports_load_over_a_socket(tmp_path):
    response, wanted, reported = asyncio.run(asyncio.wait_for(talk(tmp_path / "s"), 20))
    assert [r.name for r in response.resources] == ["a"]
    assert (wanted.send_all_clusters, wanted.load_reporting_interval.nanos) == (True, 250_000_000)
    assert reported == "root/default/a"


def test_an_envoy_that_was_told_by_an_earlier_companion_is_told_only_what_differs(run):
    async def act(resources):
        resources.put(CLUSTER, {"a": message(1), "b": message(2), "gone": message()})
        stream = resources.open()
        stream.receive(asks())
        response = await stream.next()
        known = {r.name: r.version for r in response.resources}
        later = Resources()
        later.put(CLUSTER, {"a": message(1), "b": message(3), "new": message()})
        stream = later.open()
        stream.receive(asks(known=known))
        return await answer(stream)

    assert run(act) == (["b", "new"], ["gone"])


def test_what_goes_back_to_what_it_was_must_be_acknowledged_again(run):
    async def act(resources):
        resources.put(CLUSTER, {"a": message(1)})
        stream = resources.open()
        stream.receive(asks())
        await answer(stream)
        resources.put(CLUSTER, {"a": message(2)})
        resources.put(CLUSTER, {"a": message(1)})
        waiting = asyncio.create_task(resources.wait_acknowledged(CLUSTER, ["a"]))
        await asyncio.sleep(1)
        assert not waiting.done()
        await answer(stream)
        await waiting

    run(act)
