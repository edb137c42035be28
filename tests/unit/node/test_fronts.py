"""Which pods have TLS in front of them, and when: in virtual time, with a terminator that notes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from hearth.api.inside import Front, names_of_instances
from hearth.api.kinds import CONFIG_MAP, SECRET
from hearth.api.tls import data_of
from hearth.client import Client
from hearth.kit.x509 import make_authority, make_certificate
from hearth.node.core.fronts import ANSWERS, NO_CERTIFICATE, NO_NETWORK, NOT_LISTENING
from hearth.node.fronts import Fronts
from hearth.runtime import Informers
from tests.unit.fake_api import FakeApi
from tests.unit.virtual import run_virtual

NOW = datetime.now(UTC)
AUTHORITY = make_authority("test", timedelta(days=9), NOW)
FRONT = Front("u1", "shop", "10.0.0.1", 8080, "/proc/1/ns/net")


class Noting:
    """A terminator that listens for whom it was told to."""

    def __init__(self):
        self.fronts, self.certified, self.running, self.slow = {}, {}, False, False

    async def run(self):
        self.running = True
        try:
            await asyncio.Event().wait()
        finally:
            self.running = False

    def put(self, front):
        self.fronts[front.pod] = front

    def remove(self, pod):
        del self.fronts[pod]

    def certify(self, namespace, pair):
        self.certified[namespace] = pair

    async def listens(self, ip):
        return not self.slow and any(front.ip == ip for front in self.fronts.values())


class World:
    def __init__(self):
        self.api, self.terminator, self.changes = FakeApi(), Noting(), 0
        self.informers = Informers(Client(self.api))
        self.fronts = Fronts(self.informers, lambda: self.terminator, self.terminator.listens)

    def switch(self, to):
        wire = {"metadata": {"name": "config-network"}, "data": {"system-internal-tls": to}}
        self.api.put(CONFIG_MAP, wire, "knative-serving")

    def certificate(self, *names, namespace="shop"):
        names = names or names_of_instances(namespace)
        pair = make_certificate(names, AUTHORITY, timedelta(days=2), NOW)
        wire = {"metadata": {"name": "serving-certs"}, "type": "kubernetes.io/tls",
                "data": data_of(pair)}  # fmt: skip
        self.api.put(SECRET, wire, namespace)
        return pair

    def want(self, front=FRONT):
        self.fronts.want(front, self.changed)

    def changed(self):
        self.changes += 1

    @property
    def standing(self):
        return self.fronts.standing_of("u1")


@pytest.fixture
def run():
    def play(act):
        async def whole():
            world = World()
            tasks = [asyncio.ensure_future(world.informers.run())]
            await world.informers.wait_synced()
            tasks.append(asyncio.ensure_future(world.fronts.run()))
            try:
                await act(world)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

        run_virtual(whole())

    return play


def test_where_tls_is_disabled_there_is_nothing(run):
    async def act(world):
        world.certificate()
        world.want()
        await asyncio.sleep(1)
        assert (world.standing, world.terminator.fronts) == (None, {})
        assert not world.terminator.running

    run(act)


def test_a_pod_has_its_front_once_its_namespace_has_a_certificate(run):
    async def act(world):
        world.switch("Enabled")
        world.want()
        await asyncio.sleep(1)
        assert world.standing == NO_CERTIFICATE
        world.certificate("kn-user-other")
        await asyncio.sleep(1)
        assert world.standing == NO_CERTIFICATE, "it is another namespace's"
        world.terminator.slow = True
        pair = world.certificate()
        await asyncio.sleep(1)
        assert world.terminator.certified == {"shop": pair}
        assert world.standing == NOT_LISTENING
        before, world.terminator.slow = world.changes, False
        await asyncio.sleep(1)
        assert world.standing == ANSWERS
        assert world.changes == before + 1

    run(act)


def test_a_pod_without_a_network_of_its_own_has_none(run):
    async def act(world):
        world.switch("Enabled")
        world.certificate()
        world.want(Front("u1", "shop", "127.0.0.1", 8080, ""))
        await asyncio.sleep(1)
        assert (world.standing, world.terminator.fronts) == (NO_NETWORK, {})

    run(act)


def test_a_front_lives_as_long_as_its_pod_also_when_tls_is_disabled(run):
    async def act(world):
        world.switch("Enabled")
        world.certificate()
        world.want()
        await asyncio.sleep(1)
        world.switch("Disabled")
        await asyncio.sleep(1)
        world.want(Front("u2", "shop", "10.0.0.2", 8080, "/proc/2/ns/net"))
        await asyncio.sleep(1)
        assert set(world.terminator.fronts) == {"u1"}
        assert world.terminator.running
        for pod in ("u1", "u2"):
            world.fronts.forget(pod)
        await asyncio.sleep(1)
        assert not world.terminator.running, "nobody needs it"
        assert world.standing is None

    run(act)


def test_a_certificate_that_cannot_be_used_replaces_none(run):
    async def act(world):
        world.switch("Enabled")
        pair = world.certificate()
        await asyncio.sleep(1)
        world.certificate("kn-user-other")
        world.api.put(SECRET, {"metadata": {"name": "serving-certs"}, "data": {}}, "shop")
        await asyncio.sleep(1)
        assert world.terminator.certified == {"shop": pair}
        other = world.certificate()
        await asyncio.sleep(1)
        assert world.terminator.certified == {"shop": other}

    run(act)
