"""containerConcurrency on a real Envoy with two worker threads: exact, fair, bounded."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

import aiohttp
import pytest
from aiohttp import web

from hearth.api.activation import Activation
from tests.system.edge import kill, open_edge, play, until

TBC = "autoscaling.knative.dev/target-burst-capacity"


class Worker:
    """An instance that counts what is in it at once."""

    def __init__(self, name, work_s):
        self.name, self.work_s = name, work_s
        self.now = self.most = self.done = 0
        self.paths = []
        self.go_on = asyncio.Event()

    async def handle(self, request):
        self.now += 1
        self.most = max(self.most, self.now)
        self.paths.append(request.path)
        try:
            if request.path == "/ws":
                socket = web.WebSocketResponse()
                await socket.prepare(request)
                async for message in socket:
                    await socket.send_str(message.data)
                return socket
            if request.path == "/wait":
                await self.go_on.wait()
            elif self.work_s:
                await asyncio.sleep(self.work_s)
            self.done += 1
            return web.Response(text=self.name)
        finally:
            self.now -= 1


@contextlib.asynccontextmanager
async def worker(name, work_s=0.02):
    made = Worker(name, work_s)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", made.handle)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
    made.port = runner.addresses[0][1]
    made.stop = runner.cleanup
    try:
        yield made
    finally:
        await runner.cleanup()


@pytest.fixture
def on_workers(tmp_path):
    """Play a story with a gateway, a service with this limit, and two instances of it."""

    def run(story, limit=1, pods=2, work_s=0.02, **revision):
        async def whole():
            async with (
                open_edge(tmp_path / "gateway") as edge,
                worker("w1", work_s) as w1,
                worker("w2", work_s) as w2,
            ):
                made = await edge.service("s", containerConcurrency=limit, **revision)
                for each in (w1, w2)[:pods]:
                    edge.pod(f"pod-{each.name}", made, each.port)
                await asyncio.wait_for(story(edge, w1, w2), 60)

        play(whole)

    return run


@pytest.mark.parametrize("limit", [1, 3, 10])
def test_no_instance_has_more_than_its_limit_and_none_idles(on_workers, limit):
    async def story(edge, w1, w2):
        count = 40 * limit
        loop = asyncio.get_running_loop()
        started = loop.time()
        answers = Counter([await task for task in edge.gets(count, "s")])
        assert sum(answers.values()) == answers[200, "w1"] + answers[200, "w2"] == count
        assert (w1.most, w2.most) == (limit, limit)
        assert loop.time() - started < 3 * (count / limit / 2) * 0.02 + 1

    on_workers(story, limit)


def test_the_oldest_is_served_first_and_a_new_instance_takes_from_the_queue(on_workers):
    async def story(edge, w1, w2):
        first = asyncio.create_task(edge.get("s", "/wait"))
        await until(lambda: w1.now)
        tasks = []
        for number in range(20):
            tasks.append(asyncio.create_task(edge.get("s", f"/{number}")))
            await edge.held(number + 1, "s-00001")
        edge.pod("pod-w2", "s-00001", w2.port)
        await until(lambda: w2.done > 1)
        w1.go_on.set()
        assert {status for status, _ in await asyncio.gather(first, *tasks)} == {200}
        for each in (w1, w2):
            order = [int(path[1:]) for path in each.paths if path != "/wait"]
            assert len(order) >= 5
            assert order == sorted(order)

    on_workers(story, pods=1, work_s=0.02)


def test_without_burst_capacity_ten_wait_for_each_slot_and_more_are_told_so(on_workers):
    async def story(edge, w1, w2):
        tasks = [asyncio.create_task(edge.get("s", "/wait")) for _ in range(30)]
        await until(lambda: sum(task.done() for task in tasks) == 30 - 11)
        refused = {task.result() for task in tasks if task.done()}
        assert refused == {(503, "pending request queue full\n")}
        w1.go_on.set()
        assert Counter(status for status, _ in await asyncio.gather(*tasks)) == {200: 11, 503: 19}

    on_workers(story, pods=1, annotations={TBC: "0"})


def test_with_burst_capacity_many_wait(on_workers):
    async def story(edge, w1, w2):
        tasks = edge.gets(200, "s")
        assert {status for status, _ in await asyncio.gather(*tasks)} == {200}

    on_workers(story, pods=1, work_s=0, annotations={TBC: "-1"})


def test_clients_that_leave_give_back_what_they_had(on_workers):
    async def story(edge, w1, w2):
        running = [asyncio.create_task(edge.get("s", "/wait")) for _ in range(2)]
        await until(lambda: w1.now + w2.now == 2)
        waiting = edge.gets(50, "s")
        await edge.held(50, "s-00001")
        for task in (*running, *waiting[::2]):
            task.cancel()
        answers = await asyncio.gather(*waiting[1::2])
        assert {status for status, _ in answers} == {200}
        assert (w1.most, w2.most) == (1, 1)
        assert w1.done + w2.done == 25, "those who left were not served"

    on_workers(story)


def test_a_websocket_has_its_slot_until_it_is_closed(on_workers):
    async def story(edge, w1, w2):
        url, headers = f"http://127.0.0.1:{edge.port}/ws", {"Host": "s.default.localhost"}
        async with edge.session.ws_connect(url, headers=headers) as socket:
            await socket.send_str("hi")
            assert await socket.receive_str(timeout=5) == "hi"
            task = asyncio.create_task(edge.get("s"))
            await edge.held(1, "s-00001")
            await asyncio.sleep(0.3)
            assert not task.done()
        assert (await task)[0] == 200

    on_workers(story, pods=1)


def test_an_instance_that_dies_costs_no_get_and_its_slots_are_not_used(on_workers):
    async def story(edge, w1, w2):
        tasks = edge.gets(60, "s")
        await until(lambda: w1.done > 3)
        await w1.stop()
        assert {status for status, _ in await asyncio.gather(*tasks)} == {200}
        assert w2.most == 1

    on_workers(story)


def test_at_zero_an_instance_is_asked_for_and_gets_only_its_limit(on_workers):
    async def story(edge, w1, w2):
        tasks = edge.gets(30, "s")
        await edge.held(30, "s-00001")
        assert len(edge.autoscaler.asked) == 1
        await edge.autoscaler.answers("s-00001", Activation("p", f"127.0.0.1:{w1.port}"))
        assert {status for status, _ in await asyncio.gather(*tasks)} == {200}
        assert (w1.most, w1.done) == (1, 30)

    on_workers(story, pods=0)


def test_waiting_requests_are_told_apart_from_running_ones(on_workers):
    async def story(edge, w1, w2):
        tasks = [asyncio.create_task(edge.get("s", "/wait")) for _ in range(7)]
        await edge.held(5, "s-00001")
        last = lambda: edge.autoscaler.last("s-00001")  # noqa: E731
        await until(lambda: last() and (last().in_flight, last().held) == (2, 5))
        w1.go_on.set()
        w2.go_on.set()
        await asyncio.gather(*tasks)

    on_workers(story)


def test_slots_come_back_when_envoy_dies(on_workers):
    async def story(edge, w1, w2):
        tasks = [asyncio.create_task(edge.get("s", "/wait")) for _ in range(10)]
        await edge.held(8, "s-00001")
        kill(edge.envoy)
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(100):
            with contextlib.suppress(aiohttp.ClientError):
                if (await edge.get("s"))[0] == 200:
                    break
            await asyncio.sleep(0.05)
        assert {s for s, _ in await asyncio.gather(*edge.gets(20, "s"))} == {200}

    on_workers(story)
