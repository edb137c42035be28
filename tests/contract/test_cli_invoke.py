"""``hearth invoke`` against a gateway on loopback."""

from __future__ import annotations

import http.server
import json
import threading
from contextlib import asynccontextmanager

import pytest
from click.testing import CliRunner

from hearth.api.kinds import SERVICE
from hearth.cli.root import cli
from hearth.cli.session import Session
from hearth.client import Client
from tests.unit.fake_api import FakeApi


class Gateway(http.server.BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    def do_GET(self):
        length = int(self.headers.get("content-length") or 0)
        said = {
            "method": self.command, "path": self.path, "host": self.headers["host"],
            "x": self.headers.get("x"), "body": self.rfile.read(length).decode(),
        }  # fmt: skip
        body = json.dumps(said).encode()
        self.send_response(503 if "fail" in self.path else 200)
        self.send_header("content-length", str(len(body)))
        if self.headers.get("hearth-timing") and "cold" in self.path:
            self.send_header("Server-Timing", "held;dur=0.1, claimed;dur=1.1, released;dur=6.0")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_GET

    def log_message(self, *arguments):
        pass


@pytest.fixture
def gateway():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def invoke(gateway):
    def run(*arguments, code=0, url=f"http://hello.default.localhost:{gateway}", stdin=None):
        api = FakeApi()
        tagged = {"tag": "next", "url": url.replace("hello", "next-hello")}
        status = {"url": url, "traffic": [tagged]} if url else {}
        api.put(SERVICE, {"metadata": {"name": "hello"}, "spec": {}, "status": status})

        @asynccontextmanager
        async def connect(target):
            yield Session(Client(api), "default", "")

        runner = CliRunner()
        result = runner.invoke(cli, ["invoke", "hello", *arguments], obj=connect, input=stdin)
        assert result.exit_code == code, result.output
        return result

    return run


def test_the_answer_is_printed_and_the_name_needs_no_dns(invoke, gateway):
    said = json.loads(invoke("--path", "a?b=c", "-H", "x: y").stdout)
    assert said["host"] == f"hello.default.localhost:{gateway}"
    assert (said["method"], said["path"], said["x"]) == ("GET", "/a?b=c", "y")


@pytest.mark.parametrize("data", ["text", "@-"])
def test_data_is_posted(invoke, data):
    said = json.loads(invoke("--data", data, stdin="text").stdout)
    assert (said["method"], said["body"]) == ("POST", "text")


def test_the_method_can_be_given(invoke):
    assert json.loads(invoke("-X", "PUT", "-d", "x").stdout)["method"] == "PUT"


def test_an_error_status_fails_and_still_shows_the_answer(invoke):
    done = invoke("--path", "/fail", code=1)
    assert "/fail" in done.stdout
    assert "service hello: answered 503" in done.stderr


def test_the_phases_of_a_cold_start_are_shown(invoke):
    lines = invoke("--path", "/cold", "--verbose-timing").stderr.splitlines()
    assert [line.split()[0] for line in lines] == [
        "held", "claimed", "released", "first", "complete",
    ]  # fmt: skip
    assert "warm: " in invoke("--verbose-timing").stderr


def test_machines_get_the_answer_as_data(invoke):
    said = json.loads(invoke("--path", "/cold", "--verbose-timing", "-o", "json").stdout)
    assert said["status"] == 200
    assert said["phasesMs"] == {"held": 0.1, "claimed": 1.1, "released": 6.0}


def test_head_of_the_answer_is_shown_when_asked(invoke):
    assert invoke("--include").stdout.startswith("HTTP 200 OK\n")


def test_a_tag_has_a_url_of_its_own(invoke, gateway):
    said = json.loads(invoke("--tag", "next").stdout)
    assert said["host"] == f"next-hello.default.localhost:{gateway}"
    assert "it has next" in invoke("--tag", "other", code=3).stderr


def test_what_cannot_be_reached_is_told(invoke):
    assert "has no URL yet" in invoke(url="", code=4).stderr
    assert "http://x.localhost:1: " in invoke(url="http://x.localhost:1", code=5).stderr


def test_a_wrong_header_is_told(invoke):
    assert "NAME: VALUE" in invoke("-H", "nothing", code=2).stderr
