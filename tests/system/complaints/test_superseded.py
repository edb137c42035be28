"""A revision that another took the place of: its requests end as they would have, within a time."""

from __future__ import annotations

import http.client
import time
from concurrent.futures import ThreadPoolExecutor

from tests.system.running import eventually

#: Waits as long as the path asks for before it answers; ``/stream`` sends a line a second for ever.
APP = """
import asyncio, os

async def app(scope, receive, send):
    start = {"type": "http.response.start", "status": 200, "headers": []}
    if scope["path"] == "/stream":
        await send(start)
        while True:
            await send({"type": "http.response.body", "body": b"line\\n", "more_body": True})
            await asyncio.sleep(1)
    await asyncio.sleep(float(scope["path"][1:] or 0))
    await send(start)
    await send({"type": "http.response.body", "body": os.environ["K_REVISION"].encode()})
"""
FILES = {"app.py": APP}


def revisions_with_pods(services, name):
    return {
        pod["metadata"]["labels"]["serving.knative.dev/revision"] for pod in services.pods(name)
    }


def test_a_long_request_ends_well_though_its_revision_was_superseded(services):
    """knative/serving#15352: an answer after 12 s, a window of 6 s, a new revision meanwhile."""
    services.deploy("long", FILES, window="6s")
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(services.running.call, "long", "/12")
        time.sleep(0.5)
        services.deploy("long", FILES, "--env", "N=2", window="6s")
        assert services.running.call("long").body == b"long-00002"
        answer = long.result()
    assert (answer.status, answer.body) == (200, b"long-00001")


def test_what_stays_open_keeps_a_superseded_revision_for_a_time_only(services):
    """knative/serving#10835: an open stream, timeoutSeconds of 4."""
    flags = ["--timeout", "4"]
    services.deploy("open", FILES, *flags, window="6s")
    running = services.running
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    connection.request("GET", "/stream", headers={"Host": f"open.default.localhost:{running.port}"})
    stream = connection.getresponse()
    assert stream.readline() == b"line\n"
    services.deploy("open", FILES, *flags, "--env", "N=2", window="6s", min_scale=1)
    superseded = time.monotonic()
    assert stream.readline() == b"line\n"
    eventually(
        lambda: revisions_with_pods(services, "open") == {"open-00002"},
        30,
        "the first revision has no pod any more",
    )
    assert time.monotonic() - superseded < 25
    connection.close()
