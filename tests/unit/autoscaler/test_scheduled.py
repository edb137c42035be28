"""Floors that hold at certain times, in virtual time."""

from hearth.api.kinds import POOLED_REPLICA_SET
from tests.unit.autoscaler.rig import make_revision, run_story

BREAKFAST = "3 from 0 8 * * * until 10 8 * * *"


def prepare(**options):
    return lambda api: make_revision(api, schedule=BREAKFAST, **options)


def told(story, **options):
    return run_story(story, prepare(**options))


def test_a_service_at_zero_is_there_when_its_time_has_come_and_goes_after_it():
    async def story(rig):
        seen = []
        for seconds in (4 * 60, 62, 8 * 60, 200):
            await rig.idle(seconds)
            seen.append(rig.replicas())
        return seen, rig.api.get(POOLED_REPLICA_SET, "app")["metadata"]["annotations"]

    seen, annotations = told(story)
    assert seen == [0, 3, 3, 0]
    assert "in flight over 60 s" in annotations["hearth.dev/scale-reason"]


def test_the_floor_says_why():
    async def story(rig):
        await rig.idle(6 * 60)
        return rig.events()

    assert told(story) == ["scaled to 3: not below scheduled-min-scale 3"]


def test_a_higher_minimum_wins_and_a_revision_without_a_route_has_none():
    async def story(rig):
        await rig.idle(6 * 60)
        return rig.replicas()

    assert told(story, min_scale="5") == 5
    assert told(story, state="reserve") == 0
