"""DomainMappings, their claims and the config maps, with all serving controllers running."""

import pytest

from hearth.api.kinds import CLUSTER_DOMAIN_CLAIM, CONFIG_MAP, DOMAIN_MAPPING, ROUTE, SERVICE
from tests.unit.controllers.world import World, tell

ZERO = {"autoscaling.knative.dev/initial-scale": "0"}
HOST = "shop.example.com"


def config(world: World, name: str, **data: str) -> None:
    keys = {key.replace("_", "-"): value for key, value in data.items()}
    world.api.put(CONFIG_MAP, {"metadata": {"name": name}, "data": keys}, "knative-serving")


def mapping(world: World, name: str = "hello", namespace: str = "default") -> None:
    ref = {"kind": "Service", "apiVersion": "serving.knative.dev/v1", "name": name}
    wire = {"metadata": {"name": HOST}, "spec": {"ref": ref}}
    world.api.put(DOMAIN_MAPPING, wire, namespace)


def ready(world: World, of: str = "Ready") -> tuple[str, str]:
    return world.condition(DOMAIN_MAPPING, HOST, of)[:2]


async def serve(world: World) -> None:
    world.gateway()
    world.service(annotations=ZERO)
    await world.settle()
    world.program()
    await world.settle()


def test_a_mapping_becomes_ready_with_the_claim_that_an_administrator_made():
    async def story(world: World):
        await serve(world)
        mapping(world)
        await world.settle()
        assert ready(world) == ("False", "DomainAlreadyClaimed")
        assert any("no ClusterDomainClaim found" in note[3] for note in world.notes.taken)
        claim = {"metadata": {"name": HOST}, "spec": {"namespace": "default"}}
        world.api.put(CLUSTER_DOMAIN_CLAIM, claim)
        await world.settle()
        world.program()
        await world.settle()
        assert ready(world) == ("True", "")
        status = world.api.get(DOMAIN_MAPPING, HOST)["status"]
        assert status["url"] == f"http://{HOST}:8080"
        world.api.remove(DOMAIN_MAPPING, HOST)
        await world.settle()
        assert world.api.get(CLUSTER_DOMAIN_CLAIM, HOST), "it was not ours to remove"

    tell(story)


def test_claims_are_made_and_removed_where_the_config_map_says_so():
    async def story(world: World):
        config(world, "config-network", autocreate_cluster_domain_claims="true")
        await serve(world)
        mapping(world)
        await world.settle()
        assert world.api.get(CLUSTER_DOMAIN_CLAIM, HOST)["spec"] == {"namespace": "default"}
        mapping(world, namespace="other")
        await world.settle()
        condition = world.api.get(DOMAIN_MAPPING, HOST, "other")["status"]["conditions"]
        said = {one["type"]: one.get("reason") for one in condition}
        assert said["DomainClaimed"] == "DomainAlreadyClaimed"
        world.api.remove(DOMAIN_MAPPING, HOST)
        await world.settle()
        claim = world.api.get(CLUSTER_DOMAIN_CLAIM, HOST)
        assert claim["spec"] == {"namespace": "other"}, "whoever waited has it now"
        world.api.remove(DOMAIN_MAPPING, HOST, "other")
        await world.settle()
        assert world.api.all(CLUSTER_DOMAIN_CLAIM) == []

    tell(story)


def test_the_host_of_a_route_cannot_be_taken():
    async def story(world: World):
        config(world, "config-network", autocreate_cluster_domain_claims="true")
        await serve(world)
        ref = {"kind": "Service", "apiVersion": "serving.knative.dev/v1", "name": "hello"}
        wire = {"metadata": {"name": "hello.default.localhost"}, "spec": {"ref": ref}}
        world.api.put(DOMAIN_MAPPING, wire)
        await world.settle()
        said = world.condition(DOMAIN_MAPPING, "hello.default.localhost")
        assert said[:2] == ("False", "DomainAlreadyClaimed")

    tell(story)


def test_a_mapping_waits_for_its_target():
    async def story(world: World):
        config(world, "config-network", autocreate_cluster_domain_claims="true")
        mapping(world)
        await world.settle()
        assert ready(world) == ("False", "ResolveFailed")
        await serve(world)
        world.program()
        await world.settle()
        assert ready(world) == ("True", "")

    tell(story)


@pytest.mark.parametrize(
    ("maps", "url"),
    [
        pytest.param(
            {"config-domain": {"example.org": ""}}, "http://hello.default.example.org:8080",
            id="domain",
        ),
        pytest.param(
            {"config-domain": {"example.org": "selector:\n  app: other\n"}},
            "http://hello.default.localhost:8080", id="domain of others",
        ),
        pytest.param(
            {"config-domain": {"svc.cluster.local": ""}},
            "http://hello.default.svc.cluster.local", id="cluster-local",
        ),
        pytest.param(
            {"config-network": {"domain-template": "{{.Name}}-{{.Namespace}}.{{.Domain}}"}},
            "http://hello-default.localhost:8080", id="template",
        ),
        pytest.param(
            {"config-network": {"default-external-scheme": "https"}},
            "https://hello.default.localhost", id="scheme",
        ),
    ],
)  # fmt: skip
def test_hosts_follow_the_config_maps(maps, url):
    async def story(world: World):
        await serve(world)
        for name, data in maps.items():
            config(world, name, **data)
        await world.settle()
        world.program()
        await world.settle()
        for kind in (ROUTE, SERVICE):
            assert world.api.get(kind, "hello")["status"]["url"] == url
            assert world.condition(kind, "hello")[0] == "True"

    tell(story)


def test_a_config_map_that_is_not_understood_changes_nothing():
    async def story(world: World):
        config(world, "config-domain", **{"example.org": ""})
        await serve(world)
        config(world, "config-domain", **{"example.com": "selector: nonsense"})
        await world.settle()
        url = world.api.get(ROUTE, "hello")["status"]["url"]
        assert url == "http://hello.default.example.org:8080"

    tell(story)


def test_a_template_that_makes_no_host_is_said_on_the_route():
    async def story(world: World):
        config(world, "config-network", domain_template="{{.Name}}_{{.Namespace}}.{{.Domain}}")
        await serve(world)
        status, reason, message = world.condition(ROUTE, "hello", "AllTrafficAssigned")
        assert (status, reason) == ("False", "ErrorConfig")
        assert 'invalid domain name "hello_default.localhost"' in message

    tell(story)
