"""Probes decide when a container has started, may be asked, or must go."""

from __future__ import annotations

import asyncio

from hearth.node.probing import Where, run_probes
from tests.unit.virtual import run_virtual


class Container:
    """Answers commands as scripted, and remembers when it was asked and what was said of it."""

    def __init__(self, **answers):
        self.answers = {kind: list(good) for kind, good in answers.items()}
        self.asked = []
        self.heard = []

    async def run(self, command):
        [kind] = command
        now = round(asyncio.get_running_loop().time(), 3)
        self.asked.append((kind, now))
        answers = self.answers[kind]
        return (0, "") if (answers.pop(0) if len(answers) > 1 else answers[0]) else (1, "no")

    def ready(self, is_ready):
        self.heard.append("ready" if is_ready else "not ready")

    def unhealthy(self, kind, why):
        self.heard.append(f"{kind}: {why}")

    def condemn(self, kind, why, grace_s):
        self.heard.append(f"condemned by {kind}, {grace_s:g} s")


def probe(kind, **more):
    return {"exec": {"command": [kind]}, **more}


def watch(container, seconds, **probes):
    async def story():
        try:
            async with asyncio.timeout(seconds):
                where = Where("127.0.0.1", 1, container.run)
                await run_probes(probes, {}, 1, lambda: where, container)
        except TimeoutError:
            return

    run_virtual(story())
    return container


def test_readiness_is_asked_often_until_it_succeeds_and_then_every_period():
    container = Container(r=[False] * 4 + [True])
    watch(container, 25, readinessProbe=probe("r"))
    assert container.heard == ["not ready", "ready"]
    assert [when for _, when in container.asked] == [0, 0.025, 0.05, 0.075, 0.1, 10.1, 20.1]


def test_a_container_that_fails_its_readiness_is_not_asked_by_others_until_it_recovers():
    container = Container(r=[True, False, False, False, True])
    watch(container, 31, readinessProbe=probe("r"))
    assert container.heard == [
        "ready", "Readiness: no", "Readiness: no", "not ready", "Readiness: no", "ready",
    ]  # fmt: skip


def test_nothing_else_is_asked_before_it_has_started():
    container = Container(s=[False, False, True], r=[True], l=[True])
    startup = probe("s", periodSeconds=1, initialDelaySeconds=2)
    watch(container, 16, startupProbe=startup, readinessProbe=probe("r"), livenessProbe=probe("l"))
    started = [("s", 2), ("s", 3), ("s", 4), ("r", 4)]
    assert container.asked[:4] == started
    assert sorted(container.asked[4:]) == [("l", 14), ("r", 14)]


def test_a_container_that_does_not_start_in_time_must_go():
    container = Container(s=[False])
    watch(container, 99, startupProbe=probe("s", periodSeconds=1, failureThreshold=2))
    assert container.heard == ["Startup: no", "Startup: no", "condemned by Startup, 30 s"]


def test_a_container_that_fails_its_liveness_must_go():
    container = Container(l=[True, False])
    liveness = probe("l", periodSeconds=1, failureThreshold=2, terminationGracePeriodSeconds=3)
    watch(container, 99, livenessProbe=liveness)
    assert container.heard == [
        "ready", "Liveness: no", "Liveness: no", "condemned by Liveness, 3 s",
    ]  # fmt: skip
