"""What a PooledReplicaSet does when its app cannot start, and when an activation is ahead of it."""

import asyncio
import random
from functools import partial

from hearth.api.activation import Activation, ActivationError, ActivationFailure
from hearth.api.kinds import POD, POOLED_REPLICA_SET
from hearth.api.meta import ObjectKey, status_of
from hearth.api.names import PODPOOL_LABEL, REVISION_LABEL
from hearth.client import Client
from hearth.kit.clock import SystemClock
from hearth.pool.claiming import InstanceGone
from hearth.pool.core import claims as core
from hearth.pool.sets import Sets
from hearth.runtime import Informers, run_controller
from tests.unit.fake_api import FakeApi
from tests.unit.virtual import run_virtual

KEY = ObjectKey("root", "default", "app-00001")
SET = {
    "metadata": {"name": KEY.name, "namespace": KEY.namespace},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "user-container", "image": "x"}]},
        },
    },
}


class LoopClock(SystemClock):
    """Intervals in the virtual time of the loop."""

    def monotonic_s(self):
        return asyncio.get_running_loop().time()


class EarlyClock(SystemClock):
    """By which timers fire a little early at times, as uvloop's do."""

    def __init__(self):
        self._random = random.Random(1)

    def monotonic_s(self):
        return asyncio.get_running_loop().time() - self._random.choice([0, 0.0005])


class Claiming:
    """Claims end as told; noted with their time."""

    def __init__(self, informers, outcome):
        self.claims = core.Claims()
        self.pods = informers.of(POD, label_selector="")
        self.outcome = outcome
        self.claimed = 0

    async def claim(self, replica_set):
        self.claimed += 1
        await asyncio.sleep(0.01)
        return self.outcome(self.claims)


def failing(claims):
    failure = core.Failure("ImportFailed", "no good")
    claims.on(core.AppFailed(KEY, failure, asyncio.get_running_loop().time()))
    raise ActivationError(ActivationFailure(503, failure.reason, failure.message))


def succeeding(claims):
    return Activation("default/p1", "10.0.0.1:8080", {}, "pool")


def play(outcome, replicas, story, clock=LoopClock, before=None):
    async def run():
        client = Client(FakeApi(), tenant_in_path=False)
        await client.create(
            POOLED_REPLICA_SET, {**SET, "spec": {**SET["spec"], "replicas": replicas}}
        )
        if before is not None:
            await before(client)
        informers = Informers(client)
        claiming = Claiming(informers, outcome)
        sets = Sets(client, informers, claiming, clock())
        tasks = [asyncio.create_task(informers.run())]
        await informers.wait_synced()
        tasks.append(asyncio.create_task(run_controller("sets", sets, sets.queue)))
        result = await story(client, sets, claiming)
        await sets.close()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return result

    return run_virtual(run())[0]


def test_a_set_is_tried_again_though_its_timer_fires_a_little_early():
    async def story(client, sets, claiming):
        await asyncio.sleep(600)
        return claiming.claimed

    assert play(failing, 1, story, EarlyClock) >= play(failing, 1, story) > 5


def test_an_app_that_cannot_start_is_tried_less_and_less_often():
    async def story(client, sets, claiming):
        await asyncio.sleep(60)
        wire = await client.get(POOLED_REPLICA_SET, KEY.namespace, KEY.name)
        return claiming.claimed, status_of(wire)["conditions"][0]

    claimed, condition = play(failing, 1, story)
    assert 3 <= claimed <= 8
    assert (condition["status"], condition["message"]) == ("True", "no good")


def test_an_activation_takes_one_instance_however_many_ask():
    async def story(client, sets, claiming):
        got = await asyncio.gather(*(sets.ensure(KEY, 1) for _ in range(20)))
        return claiming.claimed, {activation.address for activation in got}

    assert play(succeeding, 0, story) == (1, {"10.0.0.1:8080"})


def test_an_activation_that_fails_tells_everyone_who_waits():
    async def story(client, sets, claiming):
        got = await asyncio.gather(*(sets.ensure(KEY, 1) for _ in range(5)), return_exceptions=True)
        return {error.failure.reason for error in got}

    assert play(failing, 0, story) == {"ImportFailed"}


def test_an_activation_of_an_unknown_revision_is_refused():
    async def story(client, sets, claiming):
        try:
            await sets.ensure(KEY._replace(name="gone"), 1)
        except ActivationError as error:
            return error.failure.status
        return None

    assert play(succeeding, 0, story) == 404


def test_a_set_says_where_its_ready_pods_answer():
    async def story(client, sets, claiming):
        made = await client.get(POOLED_REPLICA_SET, KEY.namespace, KEY.name)
        owner = {"apiVersion": made["apiVersion"], "kind": "PooledReplicaSet", "name": KEY.name,
                 "uid": made["metadata"]["uid"], "controller": True}  # fmt: skip
        for name, ip, ready in (("b", "10.0.0.2", "True"), ("a", "10.0.0.1", "True"),
                                ("c", "10.0.0.3", "False")):  # fmt: skip
            labels = {"serving.knative.dev/revision": KEY.name}
            meta = {"name": name, "namespace": KEY.namespace, "labels": labels,
                    "ownerReferences": [owner]}  # fmt: skip
            conditions = [{"type": "Ready", "status": ready}]
            status = {"phase": "Running", "podIP": ip, "conditions": conditions}
            await client.create(POD, {"metadata": meta, "spec": {}})
            await client.patch(POD, KEY.namespace, name, {"status": status}, subresource="status")

        async def told():
            await asyncio.sleep(1)
            found = await client.get(POOLED_REPLICA_SET, KEY.namespace, KEY.name)
            return status_of(found).get("addresses")

        ready = await told()
        for name in "ab":
            await client.delete(POD, KEY.namespace, name)
        return ready, await told()

    assert play(succeeding, 3, story) == (["10.0.0.1:8080", "10.0.0.2:8080"], [])


# Pods that are there and do not answer


def container(state, last=None):
    return [{"name": "user-container", "state": state, "lastState": last or {}}]


async def has_pod(client, *, ready=False, statuses=()):
    """A pod of the set, as its node tells of it."""
    owner = await client.get(POOLED_REPLICA_SET, KEY.namespace, KEY.name)
    reference = {"kind": "PooledReplicaSet", "name": KEY.name, "uid": owner["metadata"]["uid"]}
    meta = {
        "name": "p",
        "namespace": KEY.namespace,
        "labels": {REVISION_LABEL: KEY.name},
        "ownerReferences": [{**reference, "controller": True}],
    }
    await client.create(POD, {"metadata": meta, "spec": {"containers": []}})
    await has_status(client, ready=ready, statuses=statuses)


async def has_status(client, *, ready, statuses=()):
    status = {
        "phase": "Running",
        "podIP": "10.0.0.9",
        "conditions": [{"type": "Ready", "status": str(ready)}],
        "containerStatuses": list(statuses),
    }
    await client.patch(POD, KEY.namespace, "p", {"status": status}, subresource="status")
    await asyncio.sleep(0.1)


BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}


def test_a_request_waits_for_an_instance_that_is_not_ready_yet():
    async def story(client, sets, claiming):
        asking = asyncio.create_task(sets.ensure(KEY, 1))
        await asyncio.sleep(200)
        assert not asking.done()
        await has_status(client, ready=True)
        return (await asking).address, claiming.claimed

    assert play(succeeding, 1, story, before=has_pod) == ("10.0.0.9:8080", 0)


def test_an_instance_that_rests_after_it_was_killed_is_not_waited_for():
    killed = {"terminated": {"exitCode": 137, "reason": "Error"}}

    async def story(client, sets, claiming):
        return (await sets.ensure(KEY, 1)).address, claiming.claimed

    before = partial(has_pod, statuses=container(BACK_OFF, killed))
    assert play(succeeding, 1, story, before=before) == ("10.0.0.1:8080", 1)


def test_why_the_only_instance_cannot_run_is_told_at_once():
    crashed = {"terminated": {"exitCode": 3, "reason": "Error", "message": "no database"}}

    async def story(client, sets, claiming):
        try:
            await sets.ensure(KEY, 1)
        except ActivationError as error:
            return error.failure, claiming.claimed

    before = partial(has_pod, statuses=container(BACK_OFF, crashed))
    failure, claimed = play(succeeding, 1, story, before=before)
    assert (failure, claimed) == (ActivationFailure(503, "ExitCode3", "no database"), 0)


def test_a_warm_pod_that_ends_between_claim_and_adoption_is_no_instance():
    async def story(client, sets, claiming):
        await sets.ensure(KEY, 1)
        meta = {"name": "p1", "namespace": "hearth-system", "labels": {PODPOOL_LABEL: "python"}}
        await client.create(POD, {"metadata": meta, "spec": {"containers": []}})
        await asyncio.sleep(0.1)
        await sets.ensure(KEY, 1)
        return claiming.claimed

    assert play(succeeding, 0, story) == 2


def test_an_instance_that_goes_before_it_is_ready_is_replaced_and_nobody_is_told():
    gone = InstanceGone(ActivationFailure(503, "PodGone", "gone"))

    async def story(client, sets, claiming):
        outcomes = [gone, gone, Activation("default/p3", "10.0.0.3:8080", {}, "new")]

        def outcome(claims):
            found = outcomes.pop(0)
            if isinstance(found, Exception):
                raise found
            return found

        claiming.outcome = outcome
        return (await sets.ensure(KEY, 1)).address, claiming.claimed

    assert play(succeeding, 0, story) == ("10.0.0.3:8080", 3)


def test_what_someone_waits_for_is_not_taken_away_however_long_it_takes():
    async def story(client, sets, claiming):
        asking = asyncio.create_task(sets.ensure(KEY, 1))
        await asyncio.sleep(60)
        alive = [p for p in (await client.list(POD, KEY.namespace)).items]
        await has_status(client, ready=True)
        return len(alive), (await asking).address

    assert play(succeeding, 0, story, before=has_pod) == (1, "10.0.0.9:8080")
