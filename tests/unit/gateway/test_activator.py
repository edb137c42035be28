"""Held requests: over a real unix socket, in virtual time; all of it is in one loop."""

from __future__ import annotations

import asyncio

import pytest

from hearth.api.activation import ActivateRequest, Activation, ActivationError, ActivationFailure
from hearth.api.meta import ObjectKey
from hearth.gateway.activator import Activator
from hearth.gateway.bootstrap import MESSAGE_HEADER, STATUS_HEADER
from hearth.gateway.limits import Limits
from hearth.gateway.settings import GatewaySettings
from tests.unit.virtual import run_virtual

KEY = ObjectKey("root", "default", "hello-00001")
TIMEOUT_S = 300.0
POOLED = Activation("default/p", "10.0.0.1:8080", {"claimed": 0.001}, "pool")


class Scripted:
    """An autoscaler that answers with what is put into ``answers``, in order."""

    def __init__(self):
        self.asked: list[ActivateRequest] = []
        self.answers: asyncio.Queue[Activation | Exception] = asyncio.Queue()

    async def activate(self, request):
        self.asked.append(request)
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def report(self, report):
        raise NotImplementedError


class World:
    """An activator, its autoscaler, and clients as Envoy is one."""

    def __init__(self, folder, settings):
        self.autoscaler = Scripted()
        self.routable: dict[ObjectKey, str] = {}
        self.instances: dict[ObjectKey, list[str]] = {}  #: of revisions with a limit
        self.secure = False  #: instances are spoken to over TLS
        self.limits = Limits(lambda key: self.instances.get(key, []))
        self.activator = Activator(
            self.autoscaler,
            self.routable.get,
            lambda key: TIMEOUT_S,
            self.limits,
            GatewaySettings(name="g", state=folder, **settings),
            lambda: self.secure,
        )
        self.path = folder / "s"
        self.writers: list[asyncio.StreamWriter] = []

    async def connect(self):
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        self.writers.append(writer)
        return reader, writer

    async def check(self, *, key=KEY, **headers):
        """Send one check; returns where its answer comes."""
        reader, writer = await self.connect()
        writer.write(head(key, **headers))
        return reader

    async def check_held(self, **headers):
        """Send one check and return once it is held."""
        before = self.activator.held
        reader = await self.check(**headers)
        await until(lambda: self.activator.held == before + 1)
        return reader

    async def close(self):
        for writer in self.writers:
            writer.close()
        await asyncio.gather(*(w.wait_closed() for w in self.writers), return_exceptions=True)
        await self.activator.close()
        await self.limits.close()


def head(key=KEY, **headers):
    lines = {
        "Host": "activator",
        "Hearth-Tenant": key.tenant,
        "Knative-Serving-Namespace": key.namespace,
        "Knative-Serving-Revision": key.name,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    said = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"GET / HTTP/1.1\r\n{said}\r\n".encode()


async def until(true):
    """Let others run until something is so; everything here happens without waiting."""
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never happened")


async def answer_to(reader):
    """The headers of an answer that lets a request go."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    assert first == "HTTP/1.1 200 OK"
    return dict(line.split(": ", 1) for line in lines)


@pytest.fixture
def run(tmp_path):
    """Play a story with a world; returns what it returns and the seconds it took."""

    def play(act, **settings):
        async def whole():
            world = World(tmp_path, settings)
            server = await world.activator.serve(world.path)
            try:
                return await act(world)
            finally:
                await world.close()
                server.close()

        return run_virtual(whole())

    return play


def test_a_request_is_held_until_there_is_an_instance(run):
    async def act(world):
        reader = await world.check_held()
        assert world.activator.held_for(KEY) == 1
        await world.autoscaler.answers.put(POOLED)
        answer = await answer_to(reader)
        assert (world.activator.held, world.activator.held_for(KEY)) == (0, 0)
        return answer, world.autoscaler.asked

    (answer, asked), took_s = run(act)
    assert answer.pop("cold").startswith("pool/")
    left_ms = int(answer.pop("x-envoy-upstream-rq-per-try-timeout-ms"))
    assert 298_000 < left_ms < 300_000, "of the revision's 300 s, less what it was held"
    assert answer == {"address": "10.0.0.1:8080", "content-length": "0"}
    assert asked == [ActivateRequest("default", "hello-00001", "root", 1)]
    assert took_s < 1


def test_a_request_with_an_instance_goes_at_once_and_nobody_is_asked(run):
    async def act(world):
        world.routable[KEY] = "10.0.0.9:8080"
        answer = await answer_to(await world.check())
        return answer["address"], world.autoscaler.asked

    assert run(act)[0] == ("10.0.0.9:8080", [])


def test_over_tls_a_request_goes_where_tls_is_answered_for_the_instance(run):
    async def act(world):
        world.secure, world.routable[KEY] = True, "10.0.0.9:8080"
        return await answer_to(await world.check())

    answer = run(act)[0]
    assert (answer["address"], answer["secure"]) == ("10.0.0.9:8112", "1")


def test_an_instance_for_which_tls_never_can_be_answered_is_refused_in_words(run):
    async def act(world):
        world.secure = True
        reader = await world.check_held()
        await world.autoscaler.answers.put(Activation("default/pod", "127.0.0.1:4711"))
        answer = await answer_to(reader)
        return answer["hearth-reply-status"], answer["hearth-reply-message"], world.activator.held

    status, message, held = run(act)[0]
    assert (status, held) == ("503", 0)
    assert "system-internal-tls" in message


def test_requests_of_one_revision_are_asked_for_once_and_go_together(run):
    async def act(world):
        readers = [await world.check_held() for _ in range(50)]
        await world.autoscaler.answers.put(POOLED)
        answers = [await answer_to(reader) for reader in readers]
        return {a["address"] for a in answers}, len(world.autoscaler.asked)

    assert run(act)[0] == ({"10.0.0.1:8080"}, 1)


def test_revisions_do_not_wait_for_each_other(run):
    other = ObjectKey("root", "default", "other-00001")

    async def act(world):
        reader = await world.check_held()
        reader2 = await world.check_held(key=other)
        world.activator.instance_appeared(other, "10.0.0.2:8080")
        return (await answer_to(reader2))["address"], world.activator.held_for(KEY), reader.at_eof()

    assert run(act)[0] == ("10.0.0.2:8080", 1, False)


def test_an_instance_that_appears_lets_go_before_the_autoscaler_answers(run):
    async def act(world):
        reader = await world.check_held()
        world.activator.instance_appeared(KEY, "10.0.0.3:8080")
        world.activator.instance_appeared(ObjectKey("root", "a", "nobody"), "10.0.0.4:8080")
        return await answer_to(reader)

    assert run(act)[0]["address"] == "10.0.0.3:8080"


def test_requests_that_come_while_others_are_let_go_are_asked_for_anew(run):
    async def act(world):
        first = await world.check_held()
        world.activator.instance_appeared(KEY, "10.0.0.3:8080")
        await answer_to(first)
        second = await world.check_held()
        await world.autoscaler.answers.put(POOLED)
        return (await answer_to(second))["address"]

    assert run(act)[0] == "10.0.0.1:8080"


@pytest.mark.parametrize(
    ("failure", "status", "message"),
    [
        pytest.param(
            ActivationFailure(500, "ImportFailed", "no module x"), "500",
            "ImportFailed: no module x", id="text",
        ),
        pytest.param(
            ActivationFailure(503, "ExitedEarly", "Traceback:\r\n  line 1\n\n  X: Y: 1\n"), "503",
            "ExitedEarly: Traceback: | line 1 | X: Y: 1", id="many-lines-cannot-end-the-head",
        ),
        pytest.param(
            ActivationFailure(418, "NoCapacity", "naïve"), "503", "NoCapacity: na?ve",
            id="a-status-without-a-route-and-other-letters",
        ),
        pytest.param(
            ActivationFailure(504, "Long", "x" * 5000), "504", "Long: " + "x" * 1994, id="cut",
        ),
    ],
)  # fmt: skip
def test_a_failure_is_told_to_all_who_wait(run, failure, status, message):
    async def act(world):
        readers = [await world.check_held() for _ in range(2)]
        await world.autoscaler.answers.put(ActivationError(failure))
        return [await answer_to(reader) for reader in readers]

    want = {STATUS_HEADER: status, MESSAGE_HEADER: message, "content-length": "0"}
    assert run(act)[0] == [want, want]


def test_nobody_waits_longer_than_the_revisions_timeout(run):
    async def act(world):
        reader = await world.check_held()
        return await answer_to(reader), world.activator.held

    (answer, held), took_s = run(act)
    assert answer[STATUS_HEADER] == "504"
    said = "request timeout: revision default/hello-00001 had no instance within 300 s"
    assert answer[MESSAGE_HEADER] == said
    assert (held, round(took_s)) == (0, TIMEOUT_S)


def test_a_client_that_leaves_is_forgotten_and_the_others_are_not(run):
    async def act(world):
        await world.check_held()
        reader = await world.check_held()
        world.writers[0].close()
        await until(lambda: world.activator.held == 1)
        await world.autoscaler.answers.put(POOLED)
        return (await answer_to(reader))["address"], world.activator.held

    assert run(act)[0] == ("10.0.0.1:8080", 0)


def test_nothing_is_kept_of_a_revision_whose_clients_have_all_left(run):
    async def act(world):
        await world.check_held()
        world.writers[0].close()
        await until(lambda: world.activator.held == 0)
        await world.autoscaler.answers.put(POOLED)
        await until(lambda: not world.activator._waiting)
        return len(world.autoscaler.asked)

    assert run(act)[0] == 1


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"held_per_revision_max": 1}, id="of-the-revision"),
        pytest.param({"held_max": 1}, id="of-the-gateway"),
    ],
)
def test_more_than_can_be_held_are_refused_and_the_held_ones_stay(run, settings):
    async def act(world):
        await world.check_held()
        answer = await answer_to(await world.check())
        return answer, world.activator.held

    answer, held = run(act, **settings)[0]
    assert (answer[STATUS_HEADER], held) == ("503", 1)
    assert answer[MESSAGE_HEADER] == "pending request queue full"


def test_nothing_is_kept_of_a_revision_that_was_refused(run):
    async def act(world):
        await world.check_held()
        other = ObjectKey("root", "default", "other-00001")
        await answer_to(await world.check(key=other))
        return set(world.activator._waiting)

    assert run(act, held_max=1)[0] == {KEY}


def test_an_autoscaler_that_is_away_is_asked_again_until_it_answers(run):
    async def act(world):
        reader = await world.check_held()
        for _ in range(3):
            await world.autoscaler.answers.put(ConnectionError("connection refused"))
        await world.autoscaler.answers.put(POOLED)
        return await answer_to(reader), len(world.autoscaler.asked)

    (answer, asked), took_s = run(act)
    assert (answer["address"], asked) == ("10.0.0.1:8080", 4)
    assert 0.2 < took_s < 1


async def listen():
    """An instance; returns its server and address."""
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    return server, f"{host}:{port}"


def test_a_second_attempt_trusts_no_instance_that_does_not_accept(run):
    async def act(world):
        server, dead = await listen()
        server.close()
        await server.wait_closed()
        world.routable[KEY] = dead
        reader = await world.check_held(x_envoy_attempt_count="2")
        world.activator.instance_appeared(KEY, dead)
        assert world.activator.held == 1
        await world.autoscaler.answers.put(Activation("p", dead))
        await until(lambda: len(world.autoscaler.asked) == 1)
        await world.autoscaler.answers.put(POOLED)
        return (await answer_to(reader))["address"], len(world.autoscaler.asked)

    assert run(act)[0] == ("10.0.0.1:8080", 2)


def test_a_second_attempt_goes_to_an_instance_that_accepts(run):
    async def act(world):
        server, alive = await listen()
        async with server:
            reader = await world.check_held(x_envoy_attempt_count="2")
            await world.autoscaler.answers.put(Activation("p", alive))
            return (await answer_to(reader))["address"] == alive

    assert run(act)[0]


@pytest.mark.parametrize(
    "count", [pytest.param("1", id="first"), pytest.param("many", id="no-number")]
)
def test_a_first_attempt_is_not_suspicious(run, count):
    async def act(world):
        world.routable[KEY] = "10.0.0.9:8080"
        return (await answer_to(await world.check(x_envoy_attempt_count=count)))["address"]

    assert run(act)[0] == "10.0.0.9:8080"


def test_who_asks_for_the_phases_gets_them_in_order(run):
    async def act(world):
        reader = await world.check_held(hearth_timing="1")
        await world.autoscaler.answers.put(POOLED)
        return (await answer_to(reader))["server-timing"]

    phases = [phase.split(";dur=") for phase in run(act)[0].split(", ")]
    assert [name for name, _ in phases] == ["held", "claimed", "injected", "listening", "released"]
    assert dict(phases)["claimed"] == "1.00"


def test_checks_come_one_after_the_other_on_a_connection_and_in_pieces(run):
    async def act(world):
        world.routable[KEY] = "10.0.0.9:8080"
        reader, writer = await world.connect()
        for piece in (head()[:30], head()[30:], head() + head()[:5], head()[5:]):
            writer.write(piece)
            await asyncio.sleep(0)
        return [(await answer_to(reader))["address"] for _ in range(3)]

    assert run(act)[0] == ["10.0.0.9:8080"] * 3


def test_a_head_without_an_end_is_cut_off(run):
    async def act(world):
        reader, writer = await world.connect()
        writer.write(b"GET / HTTP/1.1\r\nx: " + b"y" * 70_000)
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""

    assert run(act)[0] == b""


def test_an_autoscaler_that_never_answers_is_asked_again_for_those_who_come_later(run):
    async def act(world):
        first = await world.check_held()
        assert (await answer_to(first))[STATUS_HEADER] == "504"
        later = await world.check_held()
        await until_time(lambda: len(world.autoscaler.asked) == 2)
        await world.autoscaler.answers.put(POOLED)
        return (await answer_to(later))["address"]

    assert run(act)[0] == "10.0.0.1:8080"


async def until_time(true):
    """As ``until``, letting time pass."""
    for _ in range(100):
        if true():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it never happened")


def test_where_requests_were_let_go_to_is_known_until_envoy_has_none(run):
    async def act(world):
        reader = await world.check_held()
        await world.autoscaler.answers.put(POOLED)
        await answer_to(reader)
        told = [dict(world.activator.let_go_to(KEY, 0))]  # Envoy's count is older than that
        await asyncio.sleep(2)
        told += [dict(world.activator.let_go_to(KEY, count)) for count in (1, 0, 1)]
        return told

    at = {"10.0.0.1:8080": 1}
    assert run(act)[0] == [at, at, {}, {}]


def test_a_request_that_was_let_go_leaves_no_timer_behind(run):
    async def act(world):
        reader = await world.check_held()
        [held] = world.activator._waiting[KEY].requests
        await world.autoscaler.answers.put(POOLED)
        await answer_to(reader)
        return held.timer.cancelled()

    assert run(act)[0]
