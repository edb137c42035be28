import asyncio

from hearth.gateway.tracking import Tracking
from tests.unit.virtual import run_virtual


def told(story):
    """What is asked of Envoy while the story goes on."""

    async def whole():
        tracking, seen = Tracking(), []

        async def follow():
            async for clusters in tracking.changes():
                seen.append(sorted(clusters))

        following = asyncio.create_task(follow())
        await asyncio.sleep(0)
        await story(tracking)
        await asyncio.sleep(1)
        following.cancel()
        await asyncio.wait([following])
        return seen

    return run_virtual(whole())[0]


def test_a_cluster_is_reported_while_it_has_instances_or_requests():
    async def story(tracking):
        tracking.is_busy("a", True)  # held
        await asyncio.sleep(1)
        tracking.has_instances("a", True)
        await asyncio.sleep(1)
        tracking.is_busy("a", False)
        await asyncio.sleep(1)
        tracking.has_instances("a", False)

    assert told(story) == [[], ["a"], []]


def test_what_changes_together_is_told_once():
    async def story(tracking):
        for number in range(50):
            tracking.has_instances(f"c-{number:02}", True)
        tracking.has_instances("c-00", False)

    assert [len(clusters) for clusters in told(story)] == [0, 49]


def test_a_request_that_outlives_its_instance_is_still_reported():
    async def story(tracking):
        tracking.has_instances("a", True)
        tracking.is_busy("a", True)
        await asyncio.sleep(1)
        tracking.has_instances("a", False)
        await asyncio.sleep(1)
        tracking.is_busy("a", False)

    assert told(story) == [[], ["a"], []]
