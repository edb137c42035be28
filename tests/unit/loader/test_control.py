"""The control port: one specialisation, for whoever knows the secret."""

from __future__ import annotations

import contextlib
import hashlib
import json
import select
import socket

import pytest

from hearth.loader import control
from hearth.loader.control import Control
from hearth.loader.protocol import Package, Specialisation

SECRET = "a secret"
SPEC = Specialisation(revision="default/app-00001", code=Package("file:///code"), env={"A": "1"})


@pytest.fixture
def port():
    """A control port, and ways to call it."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        own = Control(listener, hashlib.sha256(SECRET.encode()).hexdigest())

        def call(*parts):
            sock = stack.enter_context(socket.create_connection(listener.getsockname(), 5))
            for part in parts:
                sock.sendall(part)
            return sock

        read = own.read

        def read_and_close_at_the_end(ready):
            if (taken := read(ready)) is not None:
                stack.enter_context(taken[1].connection)
            return taken

        own.read = read_and_close_at_the_end
        yield own, call
        own.close()


def request(secret=SECRET, body=None, path="/specialise", method="POST"):
    body = SPEC.to_json() if body is None else body
    return (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nauthorization: Bearer {secret}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def serve(own):
    """Read until nothing more is there; returns what was taken, with its caller."""
    while readable := select.select(own.watched(), [], [], 0.05)[0]:
        for ready in readable:
            if (taken := own.read(ready)) is not None:
                return taken
    return None


def answer_to(sock):
    received = b""
    while chunk := sock.recv(65536):
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def test_who_knows_the_secret_gets_the_pod(port):
    own, call = port
    sock = call(request())
    spec, caller = serve(own)
    assert spec == SPEC
    caller.note("injected")
    caller.succeed()
    status, said = answer_to(sock)
    assert (status, list(said["phasesS"])) == (200, ["injected", "listening"])


def test_a_failure_is_told_with_its_reason(port):
    own, call = port
    sock = call(request())
    _, caller = serve(own)
    caller.fail("ImportFailed", "no such module")
    assert answer_to(sock) == (422, {"reason": "ImportFailed", "message": "no such module"})


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(request(secret="wrong"), 403, id="wrong-secret"),
        pytest.param(request(secret=""), 403, id="no-secret"),
        pytest.param(request(path="/other"), 404, id="path"),
        pytest.param(request(method="GET"), 404, id="method"),
        pytest.param(request(body=b"{}"), 400, id="no-specialisation"),
        pytest.param(request(body=b"[]"), 400, id="no-object"),
        pytest.param(request(body=b"{"), 400, id="no-json"),
        pytest.param(request().replace(b"Content-Length: ", b"Content-Length: 9999999"), 400,
                     id="too-long"),
        pytest.param(b"x" * 20_000, 400, id="endless-head"),
    ],
)  # fmt: skip
def test_others_are_refused_and_the_pod_stays_warm(port, sent, status):
    own, call = port
    sock = call(sent)
    assert serve(own) is None
    assert answer_to(sock)[0] == status
    call(request())
    assert serve(own) is not None


def test_who_has_no_right_is_refused_before_the_body_came(port):
    own, call = port
    sock = call(request(secret="wrong").partition(b"{")[0])
    assert serve(own) is None
    assert answer_to(sock)[0] == 403


def test_a_caller_who_dawdles_delays_nobody(port):
    own, call = port
    call(request()[:50])
    assert serve(own) is None
    call(request())
    assert serve(own) is not None


def test_a_request_may_come_in_pieces(port):
    own, call = port
    sock = call(request()[:30])
    assert serve(own) is None
    sock.sendall(request()[30:-5])
    assert serve(own) is None
    sock.sendall(request()[-5:])
    assert serve(own) is not None


def test_who_takes_too_long_is_let_go(port, monkeypatch):
    monkeypatch.setattr(control, "_READ_TIMEOUT_S", 0.0)
    own, call = port
    sock = call(b"POST")
    assert serve(own) is None
    assert own.wait_s() == 0.0
    own.expire()
    assert (answer_to(sock)[0], own.wait_s()) == (408, None)


def test_the_oldest_of_too_many_callers_gives_way(port, monkeypatch):
    monkeypatch.setattr(control, "_REQUESTS_MAX", 2)
    own, call = port
    first, *_ = [call(b"POST") for _ in range(3)]
    assert serve(own) is None
    assert answer_to(first)[0] == 408
    assert len(own.watched()) == 3


def test_whoever_comes_second_gets_a_conflict(port):
    own, call = port
    first = call(request())
    spec, _ = serve(own)
    beside, behind = call(request()[:40]), call(request())
    own.close()
    assert [answer_to(sock)[0] for sock in (beside, behind)] == [409, 409]
    with pytest.raises(OSError):
        call(request())
    assert (spec, first.fileno() >= 0) == (SPEC, True)


def test_without_a_secret_nobody_may(port):
    listener = socket.create_server(("127.0.0.1", 0))
    own = Control(listener, "")
    with socket.create_connection(listener.getsockname()) as sock:
        sock.sendall(request(secret=""))
        assert serve(own) is None
        assert answer_to(sock)[0] == 403
    own.close()
