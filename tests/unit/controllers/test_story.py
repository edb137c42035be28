"""From an applied Service to traffic, with the other components played by the test."""

import pytest

from hearth.api.kinds import CONFIG_MAP, CONFIGURATION, POOLED_REPLICA_SET, REVISION, ROUTE, SERVICE
from hearth.api.names import ROUTING_STATE_LABEL
from tests.unit.controllers.world import World, tell

ZERO = {"autoscaling.knative.dev/initial-scale": "0"}


def test_a_service_becomes_all_its_objects_and_ready_once_a_pod_and_the_gateway_are():
    async def story(world: World):
        world.gateway()
        world.service()
        await world.settle()
        assert [wire["metadata"]["name"] for wire in world.api.all(REVISION)] == ["hello-00001"]
        replica_set = world.api.get(POOLED_REPLICA_SET, "hello-00001")
        assert replica_set["spec"]["replicas"] == 1
        assert world.condition(REVISION, "hello-00001") == ("Unknown", "Deploying", "")
        assert world.condition(SERVICE, "hello")[0] == "Unknown"
        world.ready_pods("hello-00001", 1)
        await world.settle()
        assert world.condition(REVISION, "hello-00001")[0] == "True"
        assert world.condition(CONFIGURATION, "hello")[0] == "True"
        assert world.condition(ROUTE, "hello")[:2] == ("Unknown", "GatewayNotProgrammed")
        world.program()
        await world.settle()
        assert world.condition(SERVICE, "hello") == ("True", "", "")
        status = world.api.get(SERVICE, "hello")["status"]
        assert status["url"] == "http://hello.default.localhost:8080"
        assert status["address"] == {"url": "http://hello.default.svc.cluster.local"}
        assert status["latestReadyRevisionName"] == "hello-00001"
        assert status["observedGeneration"] == 1
        assert world.traffic() == [("hello-00001", 100)]

    tell(story)


def test_with_initial_scale_zero_a_service_is_ready_without_pods_and_with_few_writes():
    async def story(world: World):
        world.gateway()
        world.service(annotations=ZERO, image="hearth.dev/runtimes/python")
        await world.settle()
        world.program()
        await world.settle()
        assert world.condition(SERVICE, "hello")[0] == "True"
        assert world.condition(REVISION, "hello-00001", "Active")[:2] == ("False", "NoTraffic")
        assert world.api.get(POOLED_REPLICA_SET, "hello-00001")["spec"]["replicas"] == 0

    world = tell(story)
    assert len(world.api.writes) <= 16, world.api.writes


def test_a_new_template_makes_a_revision_and_traffic_moves_only_when_it_is_ready():
    async def story(world: World):
        world.gateway()
        world.service(annotations=ZERO)
        await world.settle()
        world.program()
        await world.settle()
        world.service(image="example.com/app:2")
        await world.settle()
        assert world.condition(REVISION, "hello-00002")[0] == "Unknown"
        assert world.traffic() == [("hello-00001", 100)]
        assert world.condition(SERVICE, "hello")[0] == "Unknown"
        world.ready_pods("hello-00002", 1)
        await world.settle()
        assert world.traffic() == [("hello-00002", 100)]
        world.program()
        await world.settle()
        assert world.condition(SERVICE, "hello")[0] == "True"
        states = {
            wire["metadata"]["name"]: wire["metadata"]["labels"]["serving.knative.dev/routingState"]
            for wire in world.api.all(REVISION)
        }
        assert states == {"hello-00001": "reserve", "hello-00002": "active"}

    tell(story)


def test_traffic_goes_back_to_an_old_revision_by_name():
    async def story(world: World):
        world.gateway()
        world.service(annotations=ZERO)
        await world.settle()
        world.service(image="example.com/app:2", annotations=ZERO)
        await world.settle()
        assert world.traffic() == [("hello-00002", 100)]
        split = [
            {"revisionName": "hello-00001", "percent": 80, "tag": "stable"},
            {"latestRevision": True, "percent": 20},
        ]
        world.service(image="example.com/app:2", annotations=ZERO, traffic=split)
        await world.settle()
        assert world.traffic() == [("hello-00001", 80), ("hello-00002", 20)]
        world.program()
        await world.settle()
        status = world.api.get(SERVICE, "hello")["status"]
        assert status["traffic"][0]["url"] == "http://stable-hello.default.localhost:8080"
        assert world.condition(SERVICE, "hello")[0] == "True"
        assert len(world.api.all(REVISION)) == 2

    tell(story)


def test_code_that_cannot_be_imported_says_so_up_to_the_service():
    async def story(world: World):
        world.gateway()
        world.service()
        await world.settle()
        world.fails("hello-00001", "ImportFailed", "No module named 'flask'")
        await world.settle()
        healthy = world.condition(REVISION, "hello-00001", "ContainerHealthy")
        assert healthy == ("False", "ImportFailed", "No module named 'flask'")
        said = "Revision \"hello-00001\" failed with message: No module named 'flask'."
        assert world.condition(CONFIGURATION, "hello") == ("False", "RevisionFailed", said)
        assert world.condition(SERVICE, "hello", "ConfigurationsReady")[2] == said
        assert world.condition(SERVICE, "hello") == ("False", "RevisionFailed", said)
        said = 'Configuration "hello" does not have any ready Revision.'
        assert world.condition(ROUTE, "hello") == ("False", "RevisionMissing", said)

    world = tell(story)
    warned = ("hello-00001", "Warning", "ImportFailed", "No module named 'flask'")
    assert warned in world.notes.taken


def test_a_revision_that_was_ready_stays_so_at_zero_and_wakes_again():
    async def story(world: World):
        world.gateway()
        world.service()
        await world.settle()
        world.ready_pods("hello-00001", 1)
        await world.settle()
        assert world.condition(REVISION, "hello-00001", "Active")[0] == "True"
        world.scale("hello-00001", 0)
        world.ready_pods("hello-00001", 0)
        await world.settle()
        assert world.condition(REVISION, "hello-00001")[0] == "True"
        assert world.condition(REVISION, "hello-00001", "Active")[:2] == ("False", "NoTraffic")
        world.scale("hello-00001", 1)
        await world.settle()
        assert world.condition(REVISION, "hello-00001", "Active")[:2] == ("Unknown", "Queued")
        assert world.condition(REVISION, "hello-00001")[0] == "True"

    tell(story)


def test_a_revision_that_does_not_come_up_in_time_fails():
    async def story(world: World):
        world.service(annotations={"serving.knative.dev/progress-deadline": "90s"})
        await world.settle(88)
        assert world.condition(REVISION, "hello-00001")[0] == "Unknown"
        await world.settle(4)
        assert world.condition(REVISION, "hello-00001")[:2] == ("False", "ProgressDeadlineExceeded")
        world.ready_pods("hello-00001", 1)
        await world.settle()
        assert world.condition(REVISION, "hello-00001")[0] == "True"

    tell(story)


def test_a_gateway_that_died_is_not_waited_for():
    async def story(world: World):
        world.gateway("dead", at_s=0)
        world.service(annotations=ZERO)
        await world.settle(20)
        world.program()
        await world.settle()
        assert world.condition(ROUTE, "hello", "IngressReady")[:2] == (
            "Unknown",
            "GatewayNotProgrammed",
        )
        await world.settle(12)
        assert world.condition(ROUTE, "hello", "IngressReady")[0] == "True"

    tell(story)


def test_a_revision_name_of_the_users_own_is_kept_and_must_be_new():
    async def story(world: World):
        world.gateway()
        world.service(annotations=ZERO)
        await world.settle()
        spec = world.api.get(SERVICE, "hello")["spec"]
        spec["template"]["metadata"] = {"name": "hello-blue", "annotations": ZERO}
        world.api.put(SERVICE, {"metadata": {"name": "hello"}, "spec": spec})
        await world.settle()
        assert world.traffic() == [("hello-blue", 100)]
        spec["template"]["spec"]["containers"][0]["image"] = "example.com/app:3"
        world.api.put(SERVICE, {"metadata": {"name": "hello"}, "spec": spec})
        await world.settle()
        said = world.condition(CONFIGURATION, "hello")
        assert said[:2] == ("False", "RevisionFailed")
        assert '"hello-blue" already exists' in said[2]
        reason = world.condition(SERVICE, "hello", "RoutesReady")[1]
        assert reason == "RevisionNameTaken"
        assert world.traffic() == [("hello-blue", 100)]

    tell(story)


@pytest.mark.parametrize("kind", [CONFIGURATION, ROUTE], ids=lambda kind: kind.kind)
def test_what_another_owns_is_left_alone_and_named(kind):
    async def story(world: World):
        spec = {"traffic": [{"configurationName": "x", "percent": 100}]}
        if kind is CONFIGURATION:
            spec = {"template": {"spec": {"containers": [{"image": "theirs"}]}}}
        theirs = world.api.put(kind, {"metadata": {"name": "hello"}, "spec": spec})
        await world.settle()
        world.service()
        await world.settle()
        said = f'There is an existing {kind.kind} "hello" that we do not own.'
        assert world.condition(SERVICE, "hello") == ("False", "NotOwned", said)
        assert world.api.get(kind, "hello")["spec"] == theirs["spec"]
        world.api.remove(kind, "hello")
        await world.settle()
        assert world.condition(SERVICE, "hello")[1] != "NotOwned"

    tell(story)


def test_a_deleted_route_leaves_no_mark_and_a_deleted_service_nothing():
    async def story(world: World):
        template = {"metadata": {"annotations": ZERO}, "spec": {"containers": [{"image": "a"}]}}
        world.api.put(CONFIGURATION, {"metadata": {"name": "c"}, "spec": {"template": template}})
        traffic = [{"configurationName": "c", "percent": 100}]
        world.api.put(ROUTE, {"metadata": {"name": "r"}, "spec": {"traffic": traffic}})
        await world.settle()
        labels = world.api.get(REVISION, "c-00001")["metadata"]["labels"]
        assert labels["serving.knative.dev/routingState"] == "active"
        world.api.remove(ROUTE, "r")
        await world.settle()
        meta = world.api.get(REVISION, "c-00001")["metadata"]
        assert meta["labels"]["serving.knative.dev/routingState"] == "reserve"
        assert "serving.knative.dev/routes" not in meta["annotations"]
        world.service(annotations=ZERO)
        await world.settle()
        world.api.remove(SERVICE, "hello")
        await world.settle()
        assert {wire["metadata"]["name"] for wire in world.api.all(REVISION)} == {"c-00001"}

    tell(story)


def test_nothing_is_written_once_all_is_as_wanted():
    async def story(world: World):
        world.gateway()
        world.service(annotations=ZERO)
        await world.settle()
        world.program()
        await world.settle()
        world.api.writes.clear()
        for kind in (SERVICE, CONFIGURATION, REVISION, ROUTE, POOLED_REPLICA_SET):
            [wire] = world.api.all(kind)
            meta = {"name": wire["metadata"]["name"], "finalizers": ["touch"]}
            world.api.put(kind, {"metadata": meta})
        await world.settle()

    assert tell(story).api.writes == []


def test_tag_headers_are_spoken_once_the_config_map_says_so():
    async def story(world: World):
        world.gateway()
        follows = [{"latestRevision": True, "percent": 100, "tag": "now"}]
        world.service(annotations=ZERO, traffic=follows)
        await world.settle()

        def said():
            status = world.api.get(ROUTE, "hello")["status"]
            return status.get("annotations", {}).get("hearth.dev/tag-headers")

        assert said() is None
        data = {"tag-header-based-routing": "Enabled"}
        features = {"metadata": {"name": "config-features"}, "data": data}
        world.api.put(CONFIG_MAP, features, "knative-serving")
        await world.settle()
        assert said() == "enabled"
        world.api.put(CONFIG_MAP, {**features, "data": {}}, "knative-serving")
        await world.settle()
        assert said() is None

    tell(story)


def test_a_rollout_takes_the_time_that_the_service_says():
    async def story(world: World):
        world.gateway()
        own = {"serving.knative.dev/rollout-duration": "20s"}
        world.service(annotations=ZERO, own=own)
        await world.settle()
        world.program()
        await world.settle()
        assert world.condition(SERVICE, "hello")[0] == "True"
        world.service(annotations=ZERO, image="example.com/app:2", own=own)
        await world.settle()
        assert world.traffic() == [("hello-00001", 99), ("hello-00002", 1)]
        said = "A gradual rollout of the latest revision(s) is in progress."
        assert world.condition(ROUTE, "hello") == ("Unknown", "RolloutInProgress", said)
        assert world.condition(SERVICE, "hello") == ("Unknown", "RolloutInProgress", said)
        await world.settle(5)
        assert world.traffic() == [("hello-00001", 99), ("hello-00002", 1)]
        world.program()
        began = world.clock.monotonic_s()
        shares = []
        while len(world.traffic()) > 1:
            await world.settle(0.5)
            world.program()
            shares.append(world.traffic()[-1][1])
        assert shares == sorted(shares)
        assert len(set(shares)) == 4  # 1 % and three steps, each as long as the first
        assert 17 < world.clock.monotonic_s() - began < 20
        await world.settle()
        world.program()
        await world.settle()
        assert world.condition(SERVICE, "hello")[0] == "True"
        old = world.api.get(REVISION, "hello-00001")
        assert old["metadata"]["labels"][ROUTING_STATE_LABEL] == "reserve"

    tell(story)
