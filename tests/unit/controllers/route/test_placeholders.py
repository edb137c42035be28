from hearth.api.kinds import CORE_SERVICE, ROUTE, SERVICE
from tests.unit.controllers.world import World, tell

ZERO = {"autoscaling.knative.dev/initial-scale": "0"}


def names(world):
    return sorted(one["metadata"]["name"] for one in world.api.all(CORE_SERVICE))


def tagged(*tags):
    extra = [{"latestRevision": True, "percent": 0, "tag": tag} for tag in tags]
    return [{"latestRevision": True, "percent": 100}, *extra]


async def live(world, **more):
    world.gateway()
    world.service(annotations=ZERO, **more)
    await world.settle()
    world.program()
    await world.settle()


def test_a_route_and_its_tags_have_core_services_with_the_services_labels():
    async def story(world: World):
        await live(world, traffic=tagged("a", "b"), own={"mine": "1"})
        assert names(world) == ["a-hello", "b-hello", "hello"]
        meta = world.api.get(CORE_SERVICE, "hello")["metadata"]
        assert meta["labels"] == {
            "serving.knative.dev/route": "hello",
            "serving.knative.dev/service": "hello",
        }
        assert meta["annotations"] == {"mine": "1"}
        world.service(annotations=ZERO, traffic=tagged("b"))
        await world.settle()
        assert names(world) == ["b-hello", "hello"]

    tell(story)


def test_a_label_keeps_a_tag_or_the_route_from_the_outside_and_a_deleted_one_comes_back():
    async def story(world: World):
        await live(world, traffic=tagged("a"))

        def urls():
            status = world.api.get(ROUTE, "hello")["status"]
            return status["url"], status["traffic"][1]["url"]

        out = ("http://hello.default.localhost:8080", "http://a-hello.default.localhost:8080")
        local = (
            "http://hello.default.svc.cluster.local",
            "http://a-hello.default.svc.cluster.local",
        )
        assert urls() == out
        for name, want in (("a-hello", (out[0], local[1])), ("hello", local)):
            one = world.api.get(CORE_SERVICE, name)
            labels = one["metadata"]["labels"]
            labels["networking.knative.dev/visibility"] = "cluster-local"
            world.api.put(CORE_SERVICE, {"metadata": {"name": name, "labels": labels}})
            await world.settle()
            assert urls() == want
        for name in ("a-hello", "hello"):
            world.api.remove(CORE_SERVICE, name)
        await world.settle()
        assert urls() == out
        assert names(world) == ["a-hello", "hello"]

    tell(story)


def test_a_core_service_of_that_name_that_is_anothers_is_left_alone_and_named():
    async def story(world: World):
        world.api.put(CORE_SERVICE, {"metadata": {"name": "hello"}, "spec": {"type": "ClusterIP"}})
        await live(world)
        said = 'There is an existing placeholder Service "hello" that we do not own.'
        assert world.condition(ROUTE, "hello", "IngressReady") == ("False", "NotOwned", said)
        assert world.condition(SERVICE, "hello") == ("False", "NotOwned", said)
        assert world.api.get(CORE_SERVICE, "hello")["spec"]["type"] == "ClusterIP"
        world.api.remove(CORE_SERVICE, "hello")
        await world.settle(11)
        world.program()
        await world.settle()
        assert world.condition(SERVICE, "hello")[0] == "True"

    tell(story)
