"""The parts of Hearth on a cluster know each other by certificates that are made and renewed."""

from __future__ import annotations

import asyncio
import base64
import ssl
from datetime import UTC, datetime, timedelta

import pytest

from hearth.admission import Authority
from hearth.api.kinds import SECRET
from hearth.client import Client
from hearth.kit.x509 import Pair, read_pair
from tests.unit.fake_api import FakeApi

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class At:
    """A clock that stands still."""

    def __init__(self, at):
        self.at = at

    def now(self):
        return self.at


def opened(api, at=NOW):
    authority = Authority(Client(api), At(at))
    asyncio.run(authority.open())
    return authority


def data(api, name):
    secret = api.get(SECRET, name, "hearth-system")
    return {key: base64.b64decode(value) for key, value in secret["data"].items()}


def facts(api):
    tls = data(api, "internal-tls")
    return read_pair(Pair(tls["tls.crt"], tls["tls.key"]))


def test_what_is_missing_is_made_once():
    api = FakeApi()
    opened(api)
    made = {name: data(api, name) for name in ("internal", "pool-key", "internal-tls")}
    opened(api)
    assert {name: data(api, name) for name in made} == made


@pytest.mark.parametrize(
    "host",
    ["hearth-webhook.hearth-system.svc", "autoscaler-b.hearth-system.svc.cluster.local"],
)
def test_every_service_of_ours_is_covered(host):
    api = FakeApi()
    opened(api)
    assert facts(api).covers(host)


def test_the_context_has_the_certificate():
    context = opened(FakeApi()).context
    assert context.protocol == ssl.PROTOCOL_TLS_SERVER


@pytest.mark.parametrize(
    ("days", "renewed"),
    [pytest.param(59, False, id="has-time"), pytest.param(61, True, id="ends-soon")],
)
def test_it_is_renewed_a_month_before_it_ends(days, renewed):
    api = FakeApi()
    opened(api)
    was = facts(api).not_after
    opened(api, NOW + timedelta(days=days))
    assert (facts(api).not_after > was) == renewed


def test_a_certificate_that_cannot_be_read_is_made_anew():
    api = FakeApi()
    opened(api)
    broken = {"tls.crt": "", "tls.key": "", "ca.crt": ""}
    api.put(SECRET, {"metadata": {"name": "internal-tls"}, "data": broken}, "hearth-system")
    opened(api)
    assert facts(api).covers("x.hearth-system.svc")
