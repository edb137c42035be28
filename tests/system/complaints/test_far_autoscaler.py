"""A gateway whose autoscaler is 100 ms away, and further."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest

from tests.system.running import free_port
from tests.system.test_processes import Processes

FUNCTION = "def handle(request):\n    return 'here'\n"


class Delayed:
    """Passes bytes on to a port of the loopback, each ``delay_s`` later, in both directions."""

    def __init__(self, to, delay_s):
        self.port, self.to, self.delay_s = free_port(), to, delay_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))
        self._stop = asyncio.Event()
        self._listening = threading.Event()

    def __enter__(self):
        self._thread.start()
        assert self._listening.wait(5)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    async def _run(self):
        self._passing = set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self._listening.set()
        await self._stop.wait()
        server.close()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _accept(self, reader, writer):
        task = asyncio.current_task()
        self._passing.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            there, back = await asyncio.open_connection("127.0.0.1", self.to)
            try:
                await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
            finally:
                back.close()
        writer.close()
        self._passing.discard(task)

    async def _pass(self, reader, writer):
        while data := await reader.read(65536):
            await asyncio.sleep(self.delay_s)
            writer.write(data)
        writer.close()


@pytest.mark.parametrize("delay_s", [0.1, 1.0], ids=["100-ms", "1-s"])
def test_a_cold_start_works_with_an_autoscaler_far_away(tmp_path, source, delay_s):
    """knative/serving#14202: a round trip of 200 ms, and of 2 s."""
    found = Processes(tmp_path)
    autoscaler = int(found.ports["autoscaler"])
    with Delayed(autoscaler, delay_s) as proxy:
        try:
            for name in ("apiserver", "controller"):
                found.start(name)
            found.ports["autoscaler"] = str(proxy.port)
            for name in ("gateway", "node"):
                found.start(name)
            folder = source(app__py=FUNCTION)
            found.hearth("deploy", "far", "--source", folder, "--initial-scale", "0")
            assert found.call("far") == b"here"
        finally:
            found.stop()
