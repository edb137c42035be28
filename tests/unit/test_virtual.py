import asyncio

from tests.unit.virtual import run_virtual


def test_an_hour_of_sleep_is_free():
    async def story():
        try:
            async with asyncio.timeout(3600):
                await asyncio.sleep(7200)
        except TimeoutError:
            return "timed out"

    result, took_s = run_virtual(story())
    assert (result, round(took_s)) == ("timed out", 3600)
