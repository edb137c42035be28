import pytest

from hearth.pool.core.scaling import (
    Change,
    SetCounts,
    change_pool,
    change_set,
    count_set,
    hash_template,
    is_resting,
    trouble_of,
    was_killed,
)


def pod(name, *, ready=True, phase="Running", deleting=False, created=1, claimed=False, of="h"):
    annotations = {"hearth.dev/template-hash": of}
    if claimed:
        annotations["hearth.dev/claimed-from"] = "python"
    meta = {
        "name": name,
        "creationTimestamp": f"2026-01-01T00:00:0{created}Z",
        "annotations": annotations,
    }
    if deleting:
        meta["deletionTimestamp"] = "now"
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {"metadata": meta, "status": {"phase": phase, "podIP": "1", "conditions": conditions}}


def test_what_is_missing_is_made_counting_what_is_coming():
    assert change_set([pod("a")], coming=1, wanted=5, busy={}) == Change(3, ())
    assert change_set([], coming=2, wanted=1, busy={}) == Change(0, ())


def test_finished_pods_go_and_are_replaced():
    pods = [pod("a"), pod("b", phase="Failed", ready=False)]
    assert change_set(pods, coming=0, wanted=2, busy={}) == Change(1, ("b",))


def test_what_goes_first_is_not_ready_then_ordinary_then_youngest():
    pods = [
        pod("old", claimed=True, created=1), pod("young", claimed=True, created=2),
        pod("ordinary", created=0), pod("unready", ready=False, claimed=True, created=0),
        pod("going", deleting=True),
    ]  # fmt: skip
    assert change_set(pods, 0, 1, {}).delete == ("unready", "ordinary", "young")
    assert change_set(pods, 0, 0, {}).delete[-1] == "old"


def test_pods_with_requests_in_flight_go_last_the_busiest_of_all():
    pods = [pod("a"), pod("b"), pod("c"), pod("unready", ready=False)]
    busy = {"a": 1.0, "c": 7.0, "unready": 9.0}
    assert change_set(pods, 0, 1, busy).delete == ("unready", "b", "a")


def test_a_pool_is_filled_and_emptied_without_touching_reserved_pods():
    pods = [pod("a"), pod("b"), pod("gone", phase="Failed", ready=False)]
    assert change_pool(pods, {"a"}, 3, "h") == Change(2, ("gone",))
    assert change_pool(pods, {"a"}, 0, "h") == Change(0, ("gone", "b"))


def test_a_pool_lets_starting_pods_go_before_warm_ones():
    assert change_pool([pod("warm"), pod("cold", ready=False)], (), 1, "h").delete == ("cold",)


def test_pods_of_an_older_template_go_one_at_a_time_and_only_from_a_full_pool():
    old = [pod("a", of="old"), pod("b", of="old")]
    assert change_pool(old, (), 2, "new") == Change(0, ("a",))
    assert change_pool([*old[:1], pod("c", ready=False)], (), 2, "h") == Change(0, ())


def test_a_template_is_known_by_its_hash():
    pool = {"spec": {"replicas": 1, "template": {"a": 1}, "preload": ["flask"]}}
    assert hash_template(pool) == hash_template({"spec": {**pool["spec"], "replicas": 9}})
    assert hash_template(pool) != hash_template({"spec": {**pool["spec"], "preload": []}})


def test_counts_leave_out_what_has_ended_or_is_going():
    pods = [pod("a", claimed=True), pod("b", ready=False), pod("c", phase="Failed"),
            pod("d", deleting=True)]  # fmt: skip
    assert count_set(pods) == SetCounts(replicas=2, ready=1, claimed=1)


def troubled(**status):
    return [{"status": {"containerStatuses": [status]}}]


def test_trouble_is_what_the_container_says():
    ended = {"exitCode": 3, "message": "bye"}
    assert trouble_of(troubled(state={"terminated": ended})) == ("ExitCode3", "bye")
    loop = {
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": ended},
    }
    assert trouble_of(troubled(**loop)) == ("ExitCode3", "bye")
    pull = {"waiting": {"reason": "ErrImagePull", "message": "no"}}
    silent = {"state": loop["state"], "lastState": {"terminated": {"exitCode": 0}}}
    assert trouble_of(troubled(**silent)) == (
        "ExitCode0",
        "container exited with no error",
    )
    assert trouble_of(troubled(state=pull)) == ("ErrImagePull", "no")
    assert trouble_of(troubled(state={"waiting": {"reason": "ContainerCreating"}})) is None
    assert trouble_of(troubled(state={"running": {}})) is None
    assert trouble_of(troubled(state={"terminated": {"exitCode": 0}})) is None


def test_a_pod_that_ended_with_its_node_is_no_trouble_of_the_app():
    [pod_] = troubled(state={"terminated": {"exitCode": 137}})
    pod_["status"]["reason"] = "NodeRestarted"
    assert trouble_of([pod_]) is None


KILLED = {"exitCode": 137, "reason": "Error"}
OUT_OF_MEMORY = {"exitCode": 137, "reason": "OOMKilled"}
CRASHED = {"exitCode": 1, "reason": "Error"}
SOON = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z"}
LATE = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:09Z"}


@pytest.mark.parametrize(
    ("ended", "rests"),
    [
        pytest.param(KILLED | SOON, True, id="killed"),
        pytest.param(OUT_OF_MEMORY | SOON, False, id="out-of-memory"),
        pytest.param(CRASHED | SOON, False, id="crashed-at-once"),
        pytest.param(CRASHED | LATE, True, id="worked-for-a-while"),
    ],
)
def test_a_pod_in_back_off_rests_if_its_app_is_known_to_work(ended, rests):
    [backing_off] = troubled(
        state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState={"terminated": ended}
    )
    assert is_resting(backing_off) is rests
    [runs] = troubled(state={"running": {}}, lastState={"terminated": ended})
    assert not is_resting(runs)


def test_a_pod_was_killed_if_it_did_not_end_for_its_memory():
    assert was_killed(*troubled(state={"terminated": KILLED}))
    assert not was_killed(*troubled(state={"terminated": OUT_OF_MEMORY}))
    assert not was_killed(*troubled(state={"terminated": CRASHED}))
    assert not was_killed(*troubled(state={"running": {}}, lastState={"terminated": KILLED}))
