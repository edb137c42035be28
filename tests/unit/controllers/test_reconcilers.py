"""What each reconciler writes, given what is in the caches: Knative's table tests."""

import asyncio

import pytest

from hearth.api.errors import Forbidden, NotFound
from hearth.api.kinds import CONFIGURATION, POOLED_REPLICA_SET, REVISION, ROUTE, SERVICE
from hearth.api.meta import ObjectKey
from hearth.client import Client
from hearth.controllers.wiring import controllers
from hearth.controllers.writing import Newest
from hearth.runtime import Informer, Informers
from tests.unit.controllers.world import LoopClock, Notes, World, tell
from tests.unit.fake_api import FakeApi
from tests.unit.virtual import run_virtual

ZERO = {"autoscaling.knative.dev/initial-scale": "0"}
KEY = ObjectKey("root", "default", "hello")


def writes_of(story):
    """The writes after the marker, as ``VERB plural/subresource`` without the name."""
    world = tell(story)
    found = []
    for verb, path in world.api.writes:
        plural, *rest = path.split("/namespaces/default/")[1].split("/")
        found.append(f"{verb} {'/'.join([plural, *rest[1:]])}")
    return found


async def ready(world: World):
    world.gateway()
    world.service(annotations=ZERO)
    await world.settle()
    world.program()
    await world.settle()
    world.api.writes.clear()


def test_a_label_on_the_service_goes_to_its_children_and_makes_no_revision():
    async def story(world: World):
        await ready(world)
        world.api.put(SERVICE, {"metadata": {"name": "hello", "labels": {"team": "blue"}}})
        await world.settle()
        for kind in (CONFIGURATION, ROUTE):
            assert world.api.get(kind, "hello")["metadata"]["labels"]["team"] == "blue"

    assert sorted(writes_of(story)) == ["PUT configurations", "PUT routes", "PUT services"]


def test_what_a_user_changes_in_a_child_is_put_back():
    async def story(world: World):
        await ready(world)
        route = world.api.get(ROUTE, "hello")
        traffic = [{"revisionName": "other", "percent": 100}]
        world.api.put(ROUTE, {**route, "spec": {"traffic": traffic}})
        await world.settle()
        assert world.api.get(ROUTE, "hello")["spec"] == route["spec"]
        assert world.condition(ROUTE, "hello")[0] == "True"

    assert "PUT routes" in writes_of(story)


def test_a_template_change_of_a_revision_reaches_its_set_but_not_its_scale():
    async def story(world: World):
        await ready(world)
        world.scale("hello-00001", 4)
        meta = world.api.get(REVISION, "hello-00001")["metadata"]
        meta["annotations"]["note"] = "new"
        world.api.put(REVISION, {"metadata": meta})
        await world.settle()
        spec = world.api.get(POOLED_REPLICA_SET, "hello-00001")["spec"]
        assert spec["replicas"] == 4
        assert spec["template"]["metadata"]["annotations"]["note"] == "new"

    assert writes_of(story).count("PUT pooledreplicasets") == 1


def test_a_deleted_set_is_made_again():
    async def story(world: World):
        await ready(world)
        world.api.remove(POOLED_REPLICA_SET, "hello-00001")
        await world.settle()
        assert world.api.get(POOLED_REPLICA_SET, "hello-00001")

    assert writes_of(story) == ["POST pooledreplicasets"]


def test_a_revision_that_the_api_refuses_is_said_on_the_configuration_and_the_service():
    async def story(world: World):
        path = "/clusters/root/apis/serving.knative.dev/v1/namespaces/default/revisions"
        world.api.refuse["POST", path] = Forbidden("quota exceeded")
        world.service()
        await world.settle(5)
        said = "Revision creation failed with message: quota exceeded."
        assert world.condition(CONFIGURATION, "hello") == ("False", "RevisionFailed", said)
        assert world.condition(SERVICE, "hello")[2] == said

    assert writes_of(story).count("POST revisions") <= 6  # tried when something changes only


def test_a_left_over_revision_of_the_same_name_is_waited_out():
    async def story(world: World):
        owners = [{"kind": "Configuration", "name": "hello", "uid": "before", "controller": True}]
        meta = {"name": "hello-00001", "ownerReferences": owners}
        spec = {"containers": [{"image": "old"}]}
        world.api.put(REVISION, {"metadata": meta, "spec": spec})
        world.service(annotations=ZERO)
        await world.settle()
        assert world.condition(CONFIGURATION, "hello")[0] != "False"
        world.api.remove(REVISION, "hello-00001")
        await world.settle(10)
        revision = world.api.get(REVISION, "hello-00001")
        assert revision["spec"]["containers"][0]["image"] == "example.com/app:1"

    tell(story)


def test_deleting_objects_are_left_alone():
    async def story(world: World):
        await ready(world)
        for kind, name in ((SERVICE, "hello"), (ROUTE, "hello"), (REVISION, "hello-00001"),
                           (CONFIGURATION, "hello")):  # fmt: skip
            meta = {"name": name, "deletionTimestamp": "2026-01-01T00:00:01Z"}
            world.api.put(kind, {"metadata": meta})
        world.api.remove(POOLED_REPLICA_SET, "hello-00001")
        await world.settle()
        with pytest.raises(NotFound):
            world.api.get(POOLED_REPLICA_SET, "hello-00001")

    assert writes_of(story) == []


def test_a_restart_writes_nothing():
    async def run():
        first, notes = FakeApi(), Notes()

        async def live(seconds):
            informers = Informers(Client(first))
            parts = controllers(
                Client(first), informers, domain="localhost", port=8080, events=notes,
                clock=LoopClock(),
            )  # fmt: skip
            tasks = [asyncio.create_task(informers.run())]
            tasks += [asyncio.create_task(part.run()) for part in parts]
            await asyncio.sleep(seconds)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

        template = {
            "metadata": {"annotations": ZERO},
            "spec": {"containers": [{"image": "dev.local/a"}]},
        }
        first.put(SERVICE, {"metadata": {"name": "hello"}, "spec": {"template": template}})
        await live(1)
        first.writes.clear()
        await live(1)
        return first.writes

    assert run_virtual(run())[0] == []


def newest_of(api, *, sees):
    client = Client(api)
    informer = Informer(client, SERVICE)
    for wire in sees:
        informer._put(KEY, wire)
    return Newest(client, informer), informer


def test_ones_own_write_is_seen_before_the_cache_shows_it():
    async def story():
        api = FakeApi()
        wire = api.put(SERVICE, {"metadata": {"name": "hello"}, "spec": {}})
        newest, informer = newest_of(api, sees=[wire])
        written = await newest.write_status(KEY, wire, {"a": 1})
        assert newest.get(KEY) == written
        assert await newest.write_status(KEY, written, {"a": 1}) is written
        later = api.set_status(SERVICE, "hello", {"b": 2})
        informer._put(KEY, later)
        assert newest.get(KEY) == later
        return api.writes

    assert len(run_virtual(story())[0]) == 1


@pytest.mark.parametrize("comes_back", [True, False], ids=["made-again", "gone"])
def test_ones_own_write_does_not_outlive_the_object(comes_back):
    async def story():
        api = FakeApi()
        wire = api.put(SERVICE, {"metadata": {"name": "hello"}, "spec": {}})
        newest, informer = newest_of(api, sees=[wire])
        await newest.write_status(KEY, wire, {"a": 1})
        informer._drop(KEY)
        other = {**wire, "metadata": {**wire["metadata"], "uid": "other", "resourceVersion": "1"}}
        if comes_back:
            informer._put(KEY, other)
        return newest.get(KEY) == (other if comes_back else None)

    assert run_virtual(story())[0]
