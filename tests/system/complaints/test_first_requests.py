"""The first requests of services at zero: each is answered, and costs what it needs."""

from __future__ import annotations

import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.system.running import up

APP = "def handle(request):\n    return request.method + str(len(request.body))\n"
SLOW = "import time\ntime.sleep(3600)\ndef handle(request):\n    return ''\n"
AT_ZERO = {"initial_scale": "0", "window": "6s"}


def test_no_first_request_fails(services):
    """knative/serving#9888, kedacore/http-add-on#854: 100 first calls, 0 of them 502."""
    services.deploy("original", {"app.py": APP}, initial_scale=0)
    answers = []
    for batch in range(10):
        names = [f"first-{batch}-{number}" for number in range(10)]
        services.copies("original", names, **AT_ZERO)
        services.ready(names)
        with ThreadPoolExecutor(10) as pool:
            answers += pool.map(_first_of, [services.running] * 10, names, range(10))
        services.delete(names)
    assert len(answers) == 100
    assert set(answers) <= {(200, b"GET0"), (200, b"POST2000")}, answers


def _first_of(running, name, number):
    method, body = ("POST", b"x" * 2000) if number % 2 else ("GET", None)
    answer = running.call(name, method=method, body=body)
    return answer.status, answer.body


def test_a_burst_of_first_calls_claims_what_the_scale_needs(services):
    """fission/fission#2452, #1939: one service's burst does not eat the pool."""
    services.deploy("burst", {"app.py": APP}, initial_scale=0, window="30s")
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: services.running.call("burst"), range(50)))
    assert {answer.status for answer in answers} == {200}
    assert len(services.pods("burst")) == 1
    said = services.running.hearth("pool").stdout
    assert "python" in said


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A platform that may be flooded."""
    with up(tmp_path_factory.mktemp("flooded") / "state", pool=6) as found:
        yield found


def test_a_flood_of_one_service_leaves_anothers_cold_start_alone(own, tmp_path):
    """knative/serving#12533, #14634: 300 requests held for one that never comes up."""

    def deploy(name, text, *flags):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "app.py").write_text(text)
        zero = ["--initial-scale", "0", "--annotation", "autoscaling.knative.dev/window=6s"]
        own.hearth("deploy", name, "--source", str(folder), *zero, *flags)

    def cold_starts(prefix):
        took = []
        for number in range(5):
            deploy(f"{prefix}-{number}", APP)
            answer = own.call(f"{prefix}-{number}")
            assert answer.status == 200
            took.append(answer.took_s)
            time.sleep(0.5)  # the pool is filled again
        return statistics.median(took)

    alone = cold_starts("alone")
    deploy("flooded", SLOW, "--timeout", "25", "--max-scale", "1")
    flood = [threading.Thread(target=own.call, args=("flooded",)) for _ in range(300)]
    for thread in flood:
        thread.start()
    time.sleep(1)
    beside = cold_starts("beside")
    assert any(thread.is_alive() for thread in flood), "the flood was still there"
    for thread in flood:
        thread.join(60)
    assert beside < 5 * alone + 0.1, (alone, beside)
