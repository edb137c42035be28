"""What is called programmed, with an Envoy and without: in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest

from hearth.api.kinds import CONFIG_MAP, REVISION, ROUTE
from hearth.api.meta import ObjectKey, resource_version_of
from hearth.client import Client
from hearth.gateway.certificates import Certificates
from hearth.gateway.programming import Programming
from hearth.gateway.translate import trust_name
from hearth.gateway.trust import Trust
from hearth.gateway.xds import CLUSTER, ENDPOINTS, ROUTES, SCOPES, SECRETS, Resources
from hearth.kit.clock import SystemClock
from hearth.kit.x509 import make_authority
from hearth.runtime import Informers
from tests.unit.fake_api import FakeApi
from tests.unit.virtual import run_virtual

KINDS = (CLUSTER, ENDPOINTS, ROUTES, SCOPES)


class World:
    def __init__(self):
        self.api = FakeApi()
        self.resources = Resources()
        self.informers = Informers(Client(self.api))
        certificates = Certificates(self.informers, self.resources, SystemClock())
        trust = Trust(self.informers, self.resources, SystemClock(), "mark")
        self.programming = Programming(
            self.informers, self.resources, certificates, trust, 443, "mark"
        )

    def route(self, name):
        """A Route of one Revision; returns the resourceVersion that must be programmed."""
        self.api.put(REVISION, {"metadata": {"name": f"{name}-00001"}, "spec": {"containers": []}})
        self.api.put(ROUTE, {"metadata": {"name": name}, "spec": {}})
        traffic = {
            "url": f"http://{name}.default.localhost",
            "traffic": [{"revisionName": f"{name}-00001", "percent": 100}],
        }
        return int(resource_version_of(self.api.set_status(ROUTE, name, traffic)))

    async def envoy(self, refuses=""):
        """Take all that is sent, but the resources of one kind, until cancelled."""
        stream = self.resources.open()
        for kind in KINDS:
            names = [] if kind != ENDPOINTS else ["*"]
            stream.receive(DeltaDiscoveryRequest(type_url=kind, resource_names_subscribe=names))
        try:
            while True:
                sent = await stream.next()
                said = DeltaDiscoveryRequest(type_url=sent.type_url, response_nonce=sent.nonce)
                if sent.type_url == refuses and sent.resources:
                    said.error_detail.message = "no"
                stream.receive(said)
        finally:
            self.resources.close(stream)


@pytest.fixture
def run():
    def play(act):
        async def whole():
            world = World()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(world.informers.run())]
                await world.informers.wait_synced()
                world.programming.follow()
                tasks.append(group.create_task(world.programming.run()))
                try:
                    await act(world, group, tasks)
                finally:
                    for task in tasks:
                        task.cancel()

        run_virtual(whole())

    return play


async def passes(seconds):
    """Let time pass."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()


def test_a_route_is_programmed_once_envoy_has_taken_it(run):
    async def act(world, group, tasks):
        tasks.append(group.create_task(world.envoy()))
        wanted = world.route("a")
        await passes(1)
        assert world.programming.versions["hearth.dev/programmed"] >= wanted

    run(act)


def test_nothing_is_programmed_while_envoy_is_away(run):
    async def act(world, group, tasks):
        wanted = world.route("a")
        await passes(600)
        assert world.programming.versions["hearth.dev/programmed"] < wanted
        tasks.append(group.create_task(world.envoy()))
        await passes(1)
        assert world.programming.versions["hearth.dev/programmed"] >= wanted

    run(act)


def test_what_envoy_refuses_is_logged_and_does_not_stop_other_routes(run, caplog):
    async def act(world, group, tasks):
        tasks.append(group.create_task(world.envoy(refuses=SCOPES)))
        world.route("a")
        await passes(1)
        wanted = world.route("b")
        await passes(30)
        assert world.programming.versions["hearth.dev/programmed"] >= wanted

    run(act)
    assert "envoy rejected configuration" in [record.message for record in caplog.records]


def test_all_that_there_is_is_made_before_an_envoy_asks():
    async def story():
        world = World()
        for name in ("a", "b"):
            world.route(name)
        running = asyncio.create_task(world.informers.run())
        await world.informers.wait_synced()
        world.programming.follow()
        await world.programming.prime()
        found = [len(world.resources.names(kind)) for kind in (CLUSTER, ENDPOINTS, ROUTES)]
        running.cancel()
        return found, asyncio.get_running_loop().time()

    assert run_virtual(story())[0] == ([2, 2, 2], 0)


def test_a_revision_that_a_route_names_is_waited_for_a_moment_but_not_for_ever():
    async def story(comes):
        world = World()
        world.route("a")
        revision = world.api.get(REVISION, "a-00001")
        world.api.remove(REVISION, "a-00001")
        running = asyncio.create_task(world.informers.run())
        await world.informers.wait_synced()
        world.programming.follow()
        priming = asyncio.create_task(world.programming.prime())
        await passes(0.5)
        assert not priming.done()
        if comes:
            world.api.put(REVISION, revision)
        await priming
        running.cancel()
        return len(world.resources.names(ROUTES))

    assert [run_virtual(story(comes))[0] for comes in (True, False)] == [1, 0]


def network(world, to):
    data = {"system-internal-tls": to}
    wire = {"metadata": {"name": "config-network"}, "data": data}
    world.api.put(CONFIG_MAP, wire, "knative-serving")


def test_tls_to_instances_is_switched_on_and_off_with_all_that_it_needs(run):
    async def act(world, group, tasks):
        tasks.append(group.create_task(world.envoy()))
        world.route("a")
        await passes(1)
        cluster, resources = "root/default/a-00001", world.resources
        assert resources.names(ENDPOINTS) == {cluster}
        assert resources.names(CLUSTER) == {cluster}
        network(world, "Enabled")
        await passes(1)
        assert world.programming.speaks_tls
        assert resources.names(CLUSTER) == {cluster, "hold-tls", "hold-tls-h2"}
        assert resources.names(ENDPOINTS) == {f"tls/{cluster}"}
        key = ObjectKey("root", "default", "a-00001")
        assert world.programming.app_of(key, "10.0.0.1:8112") == "10.0.0.1:8080"
        network(world, "Disabled")
        await passes(1)
        assert not world.programming.speaks_tls
        assert resources.names(ENDPOINTS) == {cluster}
        assert world.programming.app_of(key, "10.0.0.1:8112") == "10.0.0.1:8112"

    run(act)


def test_whom_instances_must_be_known_to_is_told_as_it_changes(run):
    async def act(world, group, tasks):
        now = datetime.now(UTC)
        own, given = (make_authority(n, timedelta(days=2), now).certificate for n in ("a", "b"))
        labels = {"hearth.dev/trust": "true"}
        wire = {
            "metadata": {"name": "domain-ca", "labels": labels},
            "data": {"ca.crt": own.decode()},
        }
        world.api.put(CONFIG_MAP, wire, "hearth-system")
        labels = {"networking.knative.dev/trust-bundle": "true"}
        wire = {"metadata": {"name": "mine", "labels": labels}, "data": {"x.pem": given.decode()}}
        world.api.put(CONFIG_MAP, wire, "knative-serving")
        await passes(1)
        secret = Secret()
        found = world.resources.get(SECRETS, trust_name("mark"))
        assert found is not None
        secret.ParseFromString(found.value)
        assert secret.validation_context.trusted_ca.inline_bytes == own + given

    run(act)
