"""A function of a request, as an ASGI app."""

from __future__ import annotations

import asyncio
import json

import pytest

from hearth.loader import function as module
from hearth.loader.function import FunctionApp


def call(function, *chunks, path="/a/b", query=b"", headers=(), kind="http"):
    """Send one request; returns status, headers and body."""
    scope = {
        "type": kind, "method": "POST", "path": path, "query_string": query, "headers": headers,
    }  # fmt: skip
    received = [
        {"type": "http.request", "body": c, "more_body": i < len(chunks) - 1}
        for i, c in enumerate(chunks or (b"",))
    ]
    sent = []

    async def receive():
        return received.pop(0)

    async def send(message):
        sent.append(message)

    asyncio.run(FunctionApp(function, 2)(scope, receive, send))
    if kind != "http":
        return sent
    found = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
    return sent[0]["status"], found, sent[1]["body"]


@pytest.mark.parametrize(
    ("returned", "status", "content_type", "body"),
    [
        pytest.param("text", 200, "text/plain; charset=utf-8", b"text", id="string"),
        pytest.param(b"\0", 200, "application/octet-stream", b"\0", id="bytes"),
        pytest.param({"a": [1]}, 200, "application/json", b'{"a": [1]}', id="json"),
        pytest.param([1, 2], 200, "application/json", b"[1, 2]", id="list"),
        pytest.param(None, 204, None, b"", id="nothing"),
        pytest.param(("no", 404), 404, "text/plain; charset=utf-8", b"no", id="status"),
        pytest.param(("a", 201, {"content-type": "text/x"}), 201, "text/x", b"a", id="headers"),
    ],
)
def test_what_a_function_returns_becomes_the_answer(returned, status, content_type, body):
    async def later(request):
        return returned

    for function in (lambda request: returned, later):
        answer = call(function)
        assert (answer[0], answer[1].get("content-type"), answer[2]) == (status, content_type, body)
        assert answer[1]["content-length"] == str(len(body))


def test_a_function_sees_the_request():
    def handle(request):
        return {
            "method": request.method, "path": request.path, "query": dict(request.query),
            "header": request.headers["x-y"], "text": request.text(), "json": request.json(),
        }  # fmt: skip

    _, _, body = call(handle, b'{"a":', b" 1}", query=b"q=1&e=", headers=[(b"x-y", b"z")])
    assert json.loads(body) == {
        "method": "POST", "path": "/a/b", "query": {"q": "1", "e": ""}, "header": "z",
        "text": '{"a": 1}', "json": {"a": 1},
    }  # fmt: skip


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(lambda request: 1 / 0, id="raises"),
        pytest.param(lambda request: object(), id="not-json"),
    ],
)
def test_a_function_that_fails_answers_500_and_tells_its_log(function, capsys):
    status, _, body = call(function)
    assert (status, b"see its log" in body) == (500, True)
    assert "Traceback" in capsys.readouterr().err


def test_a_body_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(module, "BODY_MAX_BYTES", 10)
    assert call(lambda request: "", b"x" * 6, b"x" * 6)[0] == 413


def test_websockets_are_closed():
    assert call(lambda request: "", kind="websocket") == [{"type": "websocket.close", "code": 1003}]
