"""What apps are to trust, in every namespace, with all serving controllers running."""

from datetime import timedelta

from hearth.api.errors import NotFound
from hearth.api.kinds import CERTIFICATE, CONFIG_MAP, NAMESPACE, SECRET
from hearth.api.tls import pair_of
from hearth.kit.x509 import make_authority, read_pair, read_trusted
from tests.unit.controllers.world import START, World, tell

TRUST = "hearth-trust"


def config(world: World, enabled: str = "Enabled") -> None:
    wire = {
        "metadata": {"name": "config-network"},
        "data": {"cluster-local-domain-tls": enabled},
    }
    world.api.put(CONFIG_MAP, wire, "knative-serving")


def trusted(world: World, namespace: str = "default") -> list[bytes]:
    """The certificates that apps of the namespace find."""
    try:
        found = world.api.get(CONFIG_MAP, TRUST, namespace)
    except (KeyError, NotFound):
        return []
    return [one.pem for one in read_trusted(found["data"]["ca.crt"].encode())]


def authority(world: World) -> bytes:
    found = world.api.get(CONFIG_MAP, "domain-ca", "hearth-system")
    return read_trusted(found["data"]["ca.crt"].encode())[0].pem


def test_every_namespace_has_our_authority_while_names_inside_have_certificates():
    async def story(world: World):
        world.api.put(NAMESPACE, {"metadata": {"name": "default"}}, "")
        await world.settle()
        assert trusted(world) == []
        config(world)
        await world.settle()
        assert trusted(world) == [authority(world)]
        world.api.put(NAMESPACE, {"metadata": {"name": "later"}}, "")
        await world.settle()
        assert trusted(world, "later") == [authority(world)]
        world.api.remove(CONFIG_MAP, TRUST, "later")
        await world.settle()
        assert trusted(world, "later") == [authority(world)], "what a user removes comes back"

    tell(story)


def test_a_labelled_map_is_trusted_besides_and_an_old_authority_until_it_ends():
    async def story(world: World):
        world.api.put(NAMESPACE, {"metadata": {"name": "default"}}, "")
        config(world)
        await world.settle()
        first = authority(world)
        own = make_authority("own", timedelta(days=9), START).certificate
        meta = {"name": "bundle", "labels": {"networking.knative.dev/trust-bundle": "true"}}
        wire = {"metadata": meta, "data": {"own.pem": own.decode()}}
        world.api.put(CONFIG_MAP, wire, "knative-serving")
        await world.settle()
        assert trusted(world) == [first, own]
        world.api.remove(SECRET, "domain-ca", "hearth-system")
        world.service(annotations={"autoscaling.knative.dev/initial-scale": "0"})
        await world.settle()
        assert authority(world) != first
        assert trusted(world) == [authority(world), first, own]

    tell(story)


def test_a_map_of_that_name_that_is_a_users_is_left_alone():
    async def story(world: World):
        world.api.put(CONFIG_MAP, {"metadata": {"name": TRUST}, "data": {"mine": "1"}}, "default")
        world.api.put(NAMESPACE, {"metadata": {"name": "default"}}, "")
        config(world)
        await world.settle()
        assert world.api.get(CONFIG_MAP, TRUST, "default")["data"] == {"mine": "1"}
        assert {note[1:3] for note in world.notes.taken} == {("Warning", "NotOwned")}

    tell(story)


def test_instances_of_a_namespace_with_revisions_get_a_certificate_when_they_need_one():
    async def story(world: World):
        for name in ("default", "empty"):
            world.api.put(NAMESPACE, {"metadata": {"name": name}}, "")
        world.service(annotations={"autoscaling.knative.dev/initial-scale": "0"})
        await world.settle()
        assert world.api.all(CERTIFICATE) == []
        wire = {"metadata": {"name": "config-network"}, "data": {"system-internal-tls": "Enabled"}}
        world.api.put(CONFIG_MAP, wire, "knative-serving")
        world.gateway()
        await world.settle()
        [one] = world.api.all(CERTIFICATE)
        assert (one["metadata"]["namespace"], one["metadata"]["name"]) == (
            "default",
            "serving-certs",
        )
        secret = world.api.get(SECRET, "serving-certs", "default")
        assert read_pair(pair_of(secret)).names == ("kn-user-default", "data-plane.knative.dev")
        world.api.remove(SECRET, "serving-certs", "default")
        await world.settle()
        assert world.api.get(SECRET, "serving-certs", "default")["data"] != secret["data"]

    tell(story)
