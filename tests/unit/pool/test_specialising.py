"""What a loader's answer, or its silence, means for the claim."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from hearth.api.names import CONTROL_PORT_ANNOTATION
from hearth.loader.protocol import Package, Specialisation
from hearth.pool.core.claims import Failure
from hearth.pool.specialising import (
    CONNECT_TIMEOUT_S,
    Listening,
    Taken,
    parse_answer,
    secret_digest,
    secret_of,
    specialise,
)
from tests.unit.virtual import run_virtual

SPEC = Specialisation("default/a-1", Package("data:,x"), listen_timeout_s=60.0)


def http(status, body):
    return b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\n\r\n%b" % (status, body)


@pytest.mark.parametrize(
    ("answer", "want"),
    [
        pytest.param(
            http(200, b'{"phasesS": {"injected": 0.5}}'), Listening({"injected": 0.5}), id="listens"
        ),
        pytest.param(http(200, b"{}"), Listening({}), id="no-phases"),
        pytest.param(
            http(422, b'{"reason": "ImportFailed", "message": "m"}'), Failure("ImportFailed", "m"),
            id="the-code-fails",
        ),
        pytest.param(
            http(409, b'{"message": "spent"}'), "its loader answered 409: spent", id="taken"
        ),
        pytest.param(
            http(403, b'{"message": "no"}'), "its loader answered 403: no", id="forbidden"
        ),
        pytest.param(
            http(200, b"hello"), "its loader answered 200 and no JSON", id="no-json"
        ),
        pytest.param(
            http(200, b"[1]"), "its loader answered 200 and no JSON", id="other-json"
        ),
        pytest.param(
            http(200, b'{"phasesS": "soon"}'), "its loader answered 200 and no JSON",
            id="other-phases",
        ),
        pytest.param(b"", "its loader ended before it answered", id="nothing"),
        pytest.param(b"HTTP/1.1", "its loader ended before it answered", id="cut"),
        pytest.param(b"a b c", "its loader ended before it answered", id="garbage"),
    ],
)  # fmt: skip
def test_what_an_answer_means(answer, want):
    found = parse_answer(answer)
    assert (found.why if isinstance(found, Taken) else found) == want


def test_a_pods_secret_is_its_own_and_cannot_be_read_from_what_the_pod_knows():
    secrets = {secret_of(key, pod) for key in (b"k1", b"k2") for pod in ("p1", "p2")}
    assert len(secrets) == 4
    assert secret_of(b"k1", "p1") == secret_of(b"k1", "p1")
    assert secret_digest(secret_of(b"k1", "p1")) not in secrets


def against(loader):
    """Specialise a pod whose loader is the coroutine function; with the seconds it took."""

    writers = []

    async def accept(reader, writer):
        writers.append(writer)
        await loader(reader, writer)

    async def story():
        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        annotations = {CONTROL_PORT_ANNOTATION: str(port)}
        pod = {"metadata": {"annotations": annotations}, "status": {"podIP": "127.0.0.1"}}
        if loader is None:
            server.close()
            await server.wait_closed()
        try:
            return await specialise(pod, "the secret", SPEC)
        finally:
            server.close()
            for writer in writers:
                writer.close()
                await writer.wait_closed()

    return run_virtual(story())


async def received(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
    return head, await reader.readexactly(length)


def test_a_loader_is_told_the_secret_and_the_code():
    seen = []

    async def loader(reader, writer):
        seen.append(await received(reader))
        writer.write(http(200, b'{"phasesS": {}}'))
        writer.close()

    assert against(loader)[0] == Listening({})
    [(head, body)] = seen
    assert head.startswith("POST /specialise HTTP/1.1\r\n")
    assert "\r\nAuthorization: Bearer the secret\r\n" in head
    assert Specialisation.from_json(body) == SPEC


def test_a_pod_whose_loader_does_not_answer_is_left_for_another():
    outcome, took_s = against(None)
    assert isinstance(outcome, Taken)
    assert outcome.why.startswith("its loader does not answer: ")
    assert took_s <= CONNECT_TIMEOUT_S


def test_a_pod_whose_loader_breaks_off_is_left_for_another():
    async def loader(reader, writer):
        await received(reader)
        writer.close()

    outcome, _ = against(loader)
    assert isinstance(outcome, Taken)
    assert outcome.why == "its loader ended before it answered"


def test_a_pod_whose_loader_is_killed_is_left_for_another():
    async def loader(reader, writer):
        await received(reader)
        no_wait = struct.pack("ii", 1, 0)  # closing resets the connection
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_wait)
        writer.close()

    outcome, _ = against(loader)
    assert isinstance(outcome, Taken)
    assert outcome.why.startswith("its loader broke off: ")


def test_an_app_that_does_not_listen_in_time_has_failed():
    async def loader(reader, writer):
        await reader.read()  # until the caller has had enough
        writer.close()

    outcome, took_s = against(loader)
    assert outcome == Failure("NotListening", "the app did not listen within 60 s")
    assert 60 < took_s < 70
