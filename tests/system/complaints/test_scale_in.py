"""A pod that goes costs no request: idle ones first, each when its last request has ended."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hearth.api.kinds import POD
from tests.system.running import eventually

#: Says which pod it is, after as many seconds as the path asks for.
APP = """
import os, time

def handle(request):
    time.sleep(float(request.path[1:] or 0))
    return os.environ["HOSTNAME"]
"""
#: The same as a program that does nothing about SIGTERM: its requests die with it.
PROGRAM = """
import os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        time.sleep(float(self.path[1:] or 0))
        said = os.environ["HOSTNAME"].encode()
        self.send_response(200)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""
FILES = {
    "python": {"app.py": APP},
    "program": {"server.py": PROGRAM, "Procfile": "web: exec python server.py\n"},
}
MINE = {"class": "scaled.by/hand", "initial_scale": 3}  #: nobody but the test sets the scale


@pytest.mark.parametrize("limit", ["0", "5"], ids=["unlimited", "limited"])
def test_idle_pods_go_before_busy_ones(services, limit):
    """knative/serving#3886, #3759, #5905: the pod that goes is not the one that works."""
    services.deploy("workers", FILES["python"], "--concurrency", limit, **MINE)
    services.has("workers", 3)
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(services.running.call, "workers", "/6")
        time.sleep(0.5)
        services.scale("workers-00001", 1)
        [left] = services.has("workers", 1)
        answer = long.result()
    assert (answer.status, answer.body.decode()) == (200, left)


def test_the_pod_of_the_first_request_from_zero_is_known_to_be_busy(services):
    """The same for a request that was held: it reached its pod another way."""
    flags = {**MINE, "initial_scale": 0}
    services.deploy("riser", FILES["python"], **flags)
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(services.running.call, "riser", "/8")
        [first] = services.has("riser", 1)
        services.scale("riser-00001", 4)
        services.has("riser", 4)
        services.scale("riser-00001", 1)
        assert services.has("riser", 1) == {first}
        assert long.result().body.decode() == first


@pytest.mark.parametrize("kind", FILES)
def test_a_pod_that_goes_finishes_what_it_has_first(services, kind):
    """knative/serving#3886: also where the app does nothing about SIGTERM."""
    services.deploy("finisher", FILES[kind], **{**MINE, "initial_scale": 1})
    [pod] = services.has("finisher", 1)
    with ThreadPoolExecutor(2) as pool:
        long = [pool.submit(services.running.call, "finisher", "/4") for _ in range(2)]
        time.sleep(0.5)
        services.scale("finisher-00001", 0)
        assert {(one.result().status, one.result().body.decode()) for one in long} == {(200, pod)}
    gone = time.monotonic()
    eventually(lambda: not services.running.api(_pods), 10, "the pod is gone soon after")
    assert time.monotonic() - gone < 5


def _pods(client):
    async def named():
        pods = (await client.list(POD, "default")).items
        return [pod for pod in pods if "finisher" in str(pod["metadata"].get("labels"))]

    return named()


def test_no_request_reaches_a_pod_that_goes(services, background):
    """knative/serving#15211: ten changes of scale and two new revisions under load, 0 failures."""
    services.deploy("moving", FILES["program"], **MINE)
    services.has("moving", 3)
    with background("moving", "/0.05", threads=8) as load:
        for scale in (1, 3, 1, 2, 1, 3):
            services.scale("moving-00001", scale)
            time.sleep(1)
        for number in (2, 3):
            services.deploy("moving", FILES["program"], "--env", f"N={number}", **MINE)
        for scale in (1, 2, 1, 3):
            services.scale("moving-00003", scale)
            time.sleep(1)
    assert load.failed == []
    assert len(load.answers) > 500


def test_a_drain_has_an_end(services):
    """knative/serving#10835: what never ends keeps its pod for timeoutSeconds, no longer."""
    flags = {**MINE, "initial_scale": 1}
    services.deploy("endless", FILES["program"], "--timeout", "2", **flags)
    services.has("endless", 1)
    opened = threading.Thread(target=_quietly, args=(services.running, "endless", "/60"))
    opened.start()
    time.sleep(0.5)
    asked = time.monotonic()
    services.scale("endless-00001", 0)
    eventually(lambda: not services.pods("endless"), 5, "it is on its way")
    opened.join(20)
    assert not opened.is_alive()
    assert time.monotonic() - asked < 12


def _quietly(running, name, path):
    running.call(name, path)


@pytest.mark.parametrize("limit", ["0", "5"], ids=["unlimited", "limited"])
def test_a_request_ends_well_though_its_service_is_deleted(services, limit):
    """knative/serving#15352: a rollback deletes what still works."""
    services.deploy("leaving", FILES["program"], "--concurrency", limit, "--timeout", "30")
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(services.running.call, "leaving", "/5")
        time.sleep(0.5)
        services.delete(["leaving"])
        answer = long.result()
    assert answer.status == 200, answer
