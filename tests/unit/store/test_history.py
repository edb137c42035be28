import asyncio

import pytest

from hearth.store import Compacted, Put, open_store
from hearth.store.watch import HISTORY_MIN, HISTORY_S
from tests.unit.virtual import run_virtual


def test_a_burst_is_forgotten_when_its_time_has_come():
    async def story():
        store = open_store(None)
        for number in range(HISTORY_MIN + 500):
            await store.write([Put(f"/{number}", b"")])
        begun = store.watch("/", 1)
        await asyncio.sleep(HISTORY_S + 6)
        await store.write([Put("/later", b"")])
        with pytest.raises(Compacted):
            store.watch("/", 1)
        kept = await store.watch("/", store.revision - HISTORY_MIN).next()
        return len(await begun.next()), len(kept)

    seen, kept = run_virtual(story())[0]
    assert (seen, kept) == (HISTORY_MIN + 500, HISTORY_MIN)
