from hearth.api.kinds import NODE, POOLED_REPLICA_SET, REVISION
from hearth.controllers.revision.registry import RegistryRefused
from tests.unit.controllers.world import tell

IMAGE, DIGEST, MOVED = "example.com/app:1", "sha256:" + "a" * 64, "sha256:" + "b" * 64
NAME = "hello-00001"


def image_of(world):
    spec = world.api.get(POOLED_REPLICA_SET, NAME)["spec"]["template"]["spec"]
    return spec["containers"][0]["image"]


def test_a_tag_is_resolved_before_there_is_a_pod_and_moves_no_more():
    async def story(world):
        world.tags[IMAGE] = DIGEST
        world.service()
        await world.settle(0.03)
        assert world.condition(REVISION, NAME)[:2] == ("Unknown", "ResolvingDigests")
        await world.settle(1)
        world.tags[IMAGE] = MOVED
        world.ready_pods(NAME, 1)
        await world.settle(1)
        assert image_of(world) == f"example.com/app@{DIGEST}"
        status = world.api.get(REVISION, NAME)["status"]["containerStatuses"]
        assert [one["imageDigest"] for one in status] == [f"example.com/app@{DIGEST}"]

    tell(story)


def test_an_image_that_its_registry_does_not_have_fails_at_once_and_is_looked_for_again():
    async def story(world):
        world.tags[IMAGE] = RegistryRefused("MANIFEST_UNKNOWN: manifest unknown")
        world.service(annotations={"autoscaling.knative.dev/initial-scale": "0"})
        await world.settle(1)
        said = f'Unable to fetch image "{IMAGE}": failed to resolve image to digest: '
        missing = ("False", "ContainerMissing", said + "MANIFEST_UNKNOWN: manifest unknown")
        assert world.condition(REVISION, NAME) == missing
        assert world.api.all(POOLED_REPLICA_SET) == []
        world.tags[IMAGE] = DIGEST
        await world.settle(30)
        assert image_of(world) == f"example.com/app@{DIGEST}"
        assert world.condition(REVISION, NAME, "ContainerHealthy")[0] != "False"

    tell(story)


def test_without_an_answer_a_nodes_image_counts_and_else_the_tag():
    async def story(world):
        world.service()
        await world.settle(1)
        assert image_of(world) == IMAGE
        names = ["example.com/app:2", f"example.com/app@{DIGEST}"]
        status = {"images": [{"names": names}]}
        world.api.put(NODE, {"metadata": {"name": "n"}, "status": status}, namespace="")
        world.tags["example.com/app:2"] = RegistryRefused("UNAUTHORIZED")
        world.service("other", image="example.com/app:2")
        await world.settle(1)
        spec = world.api.get(POOLED_REPLICA_SET, "other-00001")["spec"]["template"]["spec"]
        assert spec["containers"][0]["image"] == f"example.com/app@{DIGEST}"

    tell(story)


def test_nothing_is_asked_for_a_revision_that_is_gone():
    async def story(world):
        world.tags[IMAGE] = RegistryRefused("NAME_UNKNOWN")
        world.service()
        await world.settle(1)
        world.api.remove(REVISION, NAME)
        await world.settle(60)
        assert world.api.all(POOLED_REPLICA_SET) == []

    tell(story)
