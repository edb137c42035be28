import asyncio
import io

import pytest

from hearth.api.kinds import SERVICE
from hearth.cli.errors import Exit, Failure
from hearth.cli.progress import Progress
from hearth.cli.session import Session
from hearth.cli.waiting import wait_until_gone, wait_until_ready
from hearth.client import Client
from tests.unit.fake_api import FakeApi
from tests.unit.virtual import run_virtual


def status(ready, reason="", observed=1):
    conditions = [{"type": "Ready", "status": ready, "reason": reason}]
    return {"observedGeneration": observed, "conditions": conditions}


def tell(*changes, timeout_s=60):
    """Wait for a Service that changes at given seconds: what came of it, when, what was said."""
    said = io.StringIO()

    async def change(api):
        loop = asyncio.get_running_loop()
        for at_s, act in changes:
            await asyncio.sleep(at_s - loop.time())
            act(api)

    async def story():
        api = FakeApi()
        session = Session(Client(api), "default", "")
        service = api.put(SERVICE, {"metadata": {"name": "a"}, "spec": {}})
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(change(api))
            try:
                return await wait_until_ready(session, service, Progress(said), timeout_s)
            except Failure as failure:
                return failure

    result, took_s = run_virtual(story())
    return result, round(took_s), said.getvalue()


def becomes(*args):
    return lambda api: api.set_status(SERVICE, "a", status(*args))


def test_it_ends_when_the_service_is_ready():
    result, took_s, _ = tell((1, becomes("Unknown", "Soon")), (5, becomes("True")))
    assert result["status"]["conditions"][0]["status"] == "True"
    assert took_s == 5


def test_a_failure_must_last_to_count():
    result, took_s, _ = tell((1, becomes("False", "Blip")), (1.5, becomes("True")))
    assert result["metadata"]["name"] == "a"
    result, took_s, _ = tell((1, becomes("False", "Broken")))
    assert (result.message, result.exit_code) == ("service a: failed: Broken", Exit.NOT_READY)
    assert took_s == 2


def test_ready_of_an_older_generation_does_not_count():
    result, took_s, _ = tell((1, becomes("True", "", 0)), timeout_s=10)
    assert "the controller has not seen it yet" in result.message
    assert took_s == 10


def test_a_service_that_is_deleted_is_not_waited_for():
    result, took_s, _ = tell((1, lambda api: api.remove(SERVICE, "a")))
    assert "was deleted" in result.message
    assert took_s == 1


def test_gone_is_when_it_is_deleted():
    async def story(removes):
        api = FakeApi()
        session = Session(Client(api), "default", "")
        service = api.put(SERVICE, {"metadata": {"name": "a"}, "spec": {}})
        if removes:
            asyncio.get_running_loop().call_later(2, api.remove, SERVICE, "a")
        await wait_until_gone(session, service, 30)

    assert run_virtual(story(True))[1] == 2
    with pytest.raises(Failure, match="still there after 30 s"):
        run_virtual(story(False))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def progress_on(stream):
    async def story():
        progress = Progress(stream)
        async with progress.ticking():
            progress.waiting("for a\nsecond line")
            await asyncio.sleep(1)
        progress.done("ready", "it is")

    run_virtual(story())
    return stream.getvalue()


def test_a_terminal_has_one_moving_line_that_goes_when_it_is_done():
    drawn = progress_on(Terminal()).split("\r\x1b[K")
    assert len(drawn) > 5
    assert all("for a" in frame for frame in drawn[1:9])
    assert "second line" not in "".join(drawn)
    assert drawn[-1] == "ready     it is\n"


def test_elsewhere_only_what_stays_is_a_line():
    assert progress_on(io.StringIO()) == "ready     it is\n"
