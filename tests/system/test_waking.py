"""A revision at zero that cannot start: its status says why, until it has started."""

from __future__ import annotations

import pytest

from hearth.api.kinds import REVISION, SECRET, SERVICE
from hearth.api.meta import condition_of, name_of, status_of
from tests.system.running import eventually

APP = """
import os

if os.environ.get("MOOD") == "bad":
    raise RuntimeError("in a bad mood")

def handle(request):
    return "awake"
"""


@pytest.fixture
def asleep(running, source):
    """A service at zero whose app reads a secret."""
    secret = {"metadata": {"name": "mood", "namespace": "default"}, "stringData": {"mood": "good"}}
    running.api(lambda client: client.create(SECRET, secret))
    flags = ["--annotation", "autoscaling.knative.dev/window=6s"]
    running.hearth("deploy", "sleeper", "--source", source(app__py=APP), *flags)
    wire = running.api(lambda client: client.get(SERVICE, "default", "sleeper"))
    container = wire["spec"]["template"]["spec"]["containers"][0]
    reference = {"secretKeyRef": {"name": "mood", "key": "mood"}}
    container["env"] = [{"name": "MOOD", "valueFrom": reference}]
    running.api(lambda client: client.update(SERVICE, wire))

    def is_asleep():
        revisions = running.api(lambda client: client.list(REVISION, "default")).items
        found = next((one for one in revisions if name_of(one) == "sleeper-00002"), {})
        ready = condition_of(found, "Ready") or {}
        return ready.get("status") == "True" and not status_of(found).get("actualReplicas")

    eventually(is_asleep, 40, "the second revision was ready and has gone to sleep")
    yield running
    running.hearth("delete", "sleeper", check=False)
    running.api(lambda client: client.delete(SECRET, "default", "mood"))


def states(running):
    """Of the revision and of the service: Ready's status, reason and message."""
    found = running.condition(REVISION, "sleeper-00002", "Ready")
    above = running.condition(SERVICE, "sleeper", "Ready")
    return [(c.get("status"), c.get("reason"), c.get("message", "")) for c in (found, above)]


def test_why_it_does_not_wake_is_told_and_cleared(asleep):
    change = {"data": {"mood": "YmFk"}}
    asleep.api(lambda client: client.patch(SECRET, "default", "mood", change))
    answer = asleep.call("sleeper")
    assert (answer.status, b"in a bad mood" in answer.body) == (503, True)
    told = eventually(
        lambda: (s := states(asleep))[0][0] == "False" and s[1][0] == "False" and s,
        20,
        "revision and service say that it fails",
    )
    assert "in a bad mood" in told[0][2] and "in a bad mood" in told[1][2]
    change = {"data": {"mood": "Z29vZA=="}}
    asleep.api(lambda client: client.patch(SECRET, "default", "mood", change))
    eventually(lambda: asleep.call("sleeper").status == 200, 40, "it wakes up again")
    eventually(lambda: [s[0] for s in states(asleep)] == ["True", "True"], 20, "and is Ready again")


def test_a_missing_secret_is_told_by_name(asleep):
    wire = asleep.api(lambda client: client.get(SECRET, "default", "mood"))
    asleep.api(lambda client: client.delete(SECRET, "default", "mood"))
    answer = asleep.call("sleeper")
    assert (answer.status, b'"mood" not found' in answer.body) == (503, True), answer.body
    told = eventually(
        lambda: (s := states(asleep))[0][0] == "False" and s[1][0] == "False" and s,
        20,
        "revision and service say that it fails",
    )
    assert told[0][1] == "CreateContainerConfigError"
    assert 'secret "mood" not found' in told[0][2]
    again = {"metadata": {"name": "mood", "namespace": "default"}, "data": wire["data"]}
    asleep.api(lambda client: client.create(SECRET, again))
    eventually(lambda: asleep.call("sleeper").status == 200, 40, "it wakes up again")
    eventually(lambda: [s[0] for s in states(asleep)] == ["True", "True"], 20, "and is Ready again")
