"""What a shard's autoscaler does for gateways, and what it writes."""

import asyncio

from hearth.api.activation import ActivateRequest, ActivationError, ActivationFailure
from hearth.api.errors import ServiceUnavailable
from hearth.api.kinds import POOLED_REPLICA_SET, REVISION
from tests.unit.autoscaler.rig import KEY, make_ready, make_revision, run_story

HOUR_S = 3600
REQUEST = ActivateRequest("default", "app")
SCALE = "/clusters/root/apis/hearth.dev/v1alpha1/namespaces/default/pooledreplicasets/app"


def with_app(**options):
    def prepare(api):
        make_revision(api, **options)
        make_ready(api, "app", options.get("replicas", 0))

    return prepare


# Activation


def test_many_requests_that_wait_cause_one_activation_and_one_write():
    async def story(rig):
        got = await asyncio.gather(*(rig.autoscaler.activate(REQUEST) for _ in range(50)))
        await asyncio.sleep(1)
        return {each.pod for each in got}, len(rig.instances.asked), rig.api.writes, rig.replicas()

    pods, asked, writes, replicas = run_story(story, with_app())
    assert (pods, asked, replicas) == ({"default/app-0"}, 1, 1)
    assert [path.split("/")[-2:] for _, path in writes] == [["pooledreplicasets", "app"]]


def test_an_activation_asks_for_the_activation_scale():
    async def story(rig):
        await rig.autoscaler.activate(REQUEST)
        await rig.idle(50)
        return [count for _, count in rig.instances.asked], rig.replicas()

    assert run_story(story, with_app(activation_scale="3")) == ([3], 3)


def test_a_client_that_goes_away_cancels_only_its_own_wait():
    async def story(rig):
        impatient = asyncio.create_task(rig.autoscaler.activate(REQUEST))
        patient = asyncio.create_task(rig.autoscaler.activate(REQUEST))
        await asyncio.sleep(0.01)
        impatient.cancel()
        return (await patient).pod, len(rig.instances.asked)

    assert run_story(story, with_app()) == ("default/app-0", 1)


def test_a_failed_activation_reaches_all_who_wait_sets_no_scale_and_is_no_crash(caplog):
    async def story(rig):
        rig.instances.failure = ActivationError(ActivationFailure(503, "CodeInvalid", "no good"))
        waits = [rig.autoscaler.activate(REQUEST) for _ in range(3)]
        got = await asyncio.gather(*waits, return_exceptions=True)
        await rig.report(requests=3)
        await asyncio.sleep(10)
        scaled, rig.instances.failure = rig.scaled(), None
        again = await rig.autoscaler.activate(REQUEST)
        return [error.failure.reason for error in got], scaled, again.pod

    assert run_story(story, with_app()) == (["CodeInvalid"] * 3, 0, "default/app-0")
    assert "task failed" not in caplog.text


def test_a_scale_that_could_not_be_written_is_written_later():
    async def story(rig):
        rig.api.refuse["PATCH", SCALE] = ServiceUnavailable("not now")
        await rig.autoscaler.activate(REQUEST)
        await asyncio.sleep(5)
        before = rig.replicas()
        del rig.api.refuse["PATCH", SCALE]
        await asyncio.sleep(5)
        return before, rig.replicas()

    assert run_story(story, with_app()) == (0, 1)


# Zero


def test_it_goes_to_zero_a_stable_window_after_the_last_request_and_says_so():
    async def story(rig):
        await rig.autoscaler.activate(REQUEST)
        await rig.load(20, in_flight=1)
        await rig.report()  # gateways say zero once
        await rig.idle(57)
        kept = rig.replicas()
        await rig.idle(6)
        return kept, rig.replicas(), rig.events()

    kept, replicas, events = run_story(story, with_app())
    assert (kept, replicas) == (1, 0)
    assert events == ["scaled to 0: 0.00 in flight over 60 s, target 70 per pod"]


def test_requests_too_short_to_be_met_in_flight_keep_the_last_pod():
    async def story(rig):
        for _ in range(20):
            await rig.report(requests=1)
            await rig.idle(15)
        busy = rig.replicas()
        await rig.idle(70)
        return busy, rig.replicas()

    assert run_story(story, with_app(replicas=1)) == (1, 0)


def test_the_window_annotation_and_the_retention_count():
    async def story(rig):
        seen = []
        await rig.report(requests=1)
        for _ in range(5):
            await rig.idle(5)
            seen.append(rig.replicas())
        return seen

    options = {"window": "6s", "scale_to_zero_pod_retention_period": "10s"}
    assert run_story(story, with_app(replicas=1, **options)) == [1, 1, 1, 0, 0]


def test_the_last_pod_may_be_kept_for_days():
    """knative/serving#13725: no ceiling of an hour."""

    async def story(rig):
        await rig.report(requests=1)
        await asyncio.sleep(50 * HOUR_S)
        kept = rig.replicas()
        await asyncio.sleep(2 * HOUR_S)
        return kept, rig.replicas()

    options = {"scale_to_zero_pod_retention_period": "51h"}
    assert run_story(story, with_app(replicas=1, **options)) == (1, 0)


def test_min_scale_holds_while_the_revision_has_traffic_and_no_longer():
    async def story(rig):
        await rig.idle(200)
        kept = rig.replicas()
        make_revision(rig.api, replicas=2, state="reserve", min_scale="2")
        await rig.idle(5)
        return kept, rig.replicas()

    assert run_story(story, with_app(replicas=2, min_scale="2")) == (2, 0)


def test_a_new_label_forgets_no_figures():
    async def story(rig):
        await rig.idle(70)
        await rig.load(65, follow=True, in_flight=200)
        make_revision(rig.api, replicas=rig.replicas(), state="reserve", min_scale="1")
        await rig.idle(10)
        return rig.replicas()

    assert run_story(story, with_app(replicas=1, min_scale="1")) == 3


# Up


def test_a_burst_is_followed_at_once_not_at_the_next_tick():
    async def story(rig):
        await asyncio.sleep(1.05)  # just after a tick
        await rig.report(held=500)
        await asyncio.sleep(0.05)
        return rig.replicas()

    assert run_story(story, with_app()) == 8


def test_pokes_are_bounded():
    async def story(rig):
        for _ in range(100):
            await rig.report(gateway="a", held=500)
            await asyncio.sleep(0.001)
        return rig.scaled()

    assert run_story(story, with_app(max_scale="3")) == 1


def test_what_several_gateways_see_is_added_up():
    async def story(rig):
        for _ in range(650):
            await rig.report(gateway="a", in_flight=70)
            await rig.report(gateway="b", in_flight=60)
            await asyncio.sleep(0.1)
        both = rig.replicas()
        make_ready(rig.api, "app", both)
        for _ in range(1300):  # b has ended without a word
            await rig.report(gateway="a", in_flight=70)
            await asyncio.sleep(0.1)
        return both, rig.replicas()

    assert run_story(story, with_app(replicas=1)) == (2, 1)


def test_instances_are_as_busy_as_all_gateways_say():
    async def story(rig):
        await rig.report(gateway="a", in_flight=3, busy={"10.0.0.1:80": 1, "10.0.0.2:80": 2})
        await rig.report(gateway="b", in_flight=1, busy={"10.0.0.1:80": 1})
        both = dict(rig.autoscaler.busy(KEY))
        await rig.report(gateway="a")
        return both, dict(rig.autoscaler.busy(KEY))

    both, one = run_story(story, with_app(replicas=2))
    assert (both, one) == ({"10.0.0.1:80": 2, "10.0.0.2:80": 2}, {"10.0.0.1:80": 1})


# Restart, and others who write


def test_after_a_restart_nothing_goes_down_for_a_stable_window():
    async def story(rig):
        seen = []
        for _ in range(4):
            await rig.idle(25)
            seen.append(rig.replicas())
        return seen

    assert run_story(story, with_app(replicas=5)) == [5, 5, 0, 0]


def test_after_a_restart_lost_pods_are_not_forgotten_either():
    async def story(rig):
        await asyncio.sleep(30)
        return rig.replicas(), rig.scaled()

    def prepare(api):
        make_revision(api, replicas=4)  # and no pod is left

    assert run_story(story, prepare) == (4, 0)


def test_a_scale_someone_else_set_is_where_the_next_decision_starts():
    async def story(rig):
        await rig.idle(70)
        rig.api.put(POOLED_REPLICA_SET, {"metadata": {"name": "app"}, "spec": {"replicas": 4}})
        await rig.idle(70)
        return rig.replicas()

    assert run_story(story, with_app()) == 0


def test_a_revision_that_never_comes_up_is_given_up_after_its_deadline():
    async def story(rig):
        await asyncio.sleep(600)
        hoping = rig.replicas()
        await asyncio.sleep(100)
        return hoping, rig.replicas()

    def prepare(api):
        make_revision(api, replicas=1, ready=False)

    assert run_story(story, prepare) == (1, 0)


def test_a_revision_that_is_gone_is_forgotten():
    async def story(rig):
        await rig.load(1, in_flight=1)
        rig.api.remove(REVISION, "app")
        rig.api.remove(POOLED_REPLICA_SET, "app")
        await asyncio.sleep(1)
        before = len(rig.api.writes)
        await rig.load(10, in_flight=100)
        return len(rig.api.writes) - before

    assert run_story(story, with_app(replicas=1)) == 0


# Other metrics, and the cluster's defaults


def test_requests_per_second_decide_where_that_is_the_metric():
    async def story(rig):
        await rig.load(65, follow=True, in_flight=1, requests=4)  # 40 a second
        return rig.replicas()

    options = {"metric": "rps", "target": "10", "target_utilization_percentage": "100"}
    assert run_story(story, with_app(replicas=1, **options)) == 4


def test_what_the_cluster_says_holds_from_now_on():
    async def story(rig):
        await rig.idle(30)
        before = rig.replicas()
        rig.configure(**{"stable-window": "6s"})
        await rig.idle(10)
        gone = rig.replicas()
        rig.configure(**{"min-scale": "2"})
        await rig.idle(3)
        return before, gone, rig.replicas()

    assert run_story(story, with_app(replicas=1)) == (1, 0, 2)


def test_what_is_not_understood_changes_nothing(caplog):
    async def story(rig):
        rig.configure(**{"min-scale": "2"})
        await rig.idle(3)
        rig.configure(**{"min-scale": "many"})
        await rig.idle(100)
        return rig.replicas()

    assert run_story(story, with_app(replicas=1)) == 2
    assert "what held holds" in caplog.text


def test_zero_can_be_switched_off_for_all():
    async def story(rig):
        rig.configure(**{"enable-scale-to-zero": "false"})
        await rig.idle(200)
        return rig.replicas()

    assert run_story(story, with_app(replicas=1)) == 1


def test_a_revision_of_somebody_elses_class_is_left_alone():
    async def story(rig):
        await rig.load(100, in_flight=500)
        return rig.replicas(), rig.scaled()

    assert run_story(story, with_app(replicas=1, **{"class": "mine.example.com"})) == (1, 0)


# Room for a burst


def room_of(rig):
    [found] = rig.api.all(POOLED_REPLICA_SET)
    return (found["metadata"].get("annotations") or {}).get("hearth.dev/spare-burst-capacity")


def test_room_for_a_burst_is_told_when_it_comes_and_when_it_goes_and_not_between():
    options = {"target_burst_capacity": "7", "target": "10", "panic_threshold_percentage": "1000"}

    async def story(rig):
        told = []
        for in_flight in (0, 9):
            await rig.load(20, in_flight=in_flight, requests=1)
            told.append(room_of(rig))
        return told, rig.scaled()

    assert run_story(story, with_app(replicas=1, min_scale="1", **options)) == (
        ["true", "false"],
        2,
    )


def test_without_room_from_the_start_nothing_is_written():
    async def story(rig):
        await rig.load(20, in_flight=1, requests=1)
        return room_of(rig), rig.scaled()

    assert run_story(story, with_app(replicas=1, min_scale="1")) == (None, 0)
