from datetime import UTC, datetime, timedelta

from hearth.api.config import DeploymentConfig
from hearth.controllers.revision.core.scale import Scale
from hearth.controllers.revision.core.status import Workload, revision_status

START = datetime(2026, 1, 1, tzinfo=UTC)
ONE, ZERO, TWO = Scale(1, 0, 600), Scale(0, 0, 600), Scale(1, 2, 600)
IMPORT_FAILED = {
    "type": "ReplicaFailure",
    "status": "True",
    "reason": "ImportFailed",
    "message": "x",
}
NO_ROOM = {"type": "ReplicaFailure", "status": "True", "reason": "NoCapacity", "message": "full"}


def revision(status=None, image="app:1"):
    return {
        "metadata": {"name": "r", "uid": "r", "generation": 1},
        "spec": {"containers": [{"name": "user-container", "image": image}]},
        "status": status or {},
    }


class Life:
    """One revision through the reconciles of its life."""

    def __init__(self, scale=ONE):
        self.scale, self.wire, self.now = scale, revision(), START

    def sees(self, wanted, ready, *conditions, pods=(), after_s=0, owner="r", **config):
        self.now += timedelta(seconds=after_s)
        replica_set = {
            "metadata": {"name": "r", "ownerReferences": [{"uid": owner, "controller": True}]},
            "spec": {"replicas": wanted},
            "status": {"readyReplicas": ready, "conditions": list(conditions)},
        }
        at = self.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.outcome = revision_status(
            self.wire,
            Workload(replica_set, pods, self.scale, self.now, at, DeploymentConfig(**config)),
        )
        self.wire = revision(self.outcome.status)
        return self

    @property
    def said(self):
        by_type = {one["type"]: one for one in self.outcome.status["conditions"]}
        kinds = ("Ready", "ResourcesAvailable", "ContainerHealthy", "Active")
        return tuple(
            " ".join(filter(None, (by_type[k]["status"], by_type[k].get("reason"))))
            for k in kinds
            if k in by_type
        )


DEPLOYING = ("Unknown Deploying",) * 4
SERVING = ("True", "True", "True", "True")
IDLE = ("True", "True", "True", "False NoTraffic")
LATE = "False ProgressDeadlineExceeded"


def test_it_deploys_then_serves_then_idles_then_wakes():
    life = Life().sees(1, 0)
    assert life.said == DEPLOYING
    assert life.sees(1, 1).said == SERVING
    assert life.sees(0, 1).said == IDLE
    assert life.sees(0, 0).said == IDLE
    assert life.sees(1, 0).said == ("True", "True", "True", "Unknown Queued")
    assert life.sees(1, 1).said == SERVING
    status = life.outcome.status
    assert (status["actualReplicas"], status["desiredReplicas"]) == (1, 1)
    assert status["observedGeneration"] == 1


def test_with_initial_scale_zero_it_is_ready_at_once_and_stays_so():
    life = Life(ZERO).sees(0, 0)
    assert life.said == IDLE and life.outcome.again_after_s is None
    assert life.sees(0, 0).said == IDLE
    assert life.sees(1, 0).said == ("True", "True", "True", "Unknown Queued")
    assert life.sees(0, 0).said == ("True", "True", "True", "False TimedOut")
    assert life.sees(0, 0).said == ("True", "True", "True", "False TimedOut")
    assert life.sees(1, 1).said == SERVING


def test_all_pods_of_the_floor_must_be_ready_at_first():
    life = Life(TWO).sees(2, 1)
    assert life.said == ("Unknown Deploying", "Unknown Deploying", "True", "Unknown Deploying")
    assert life.sees(2, 2).said == SERVING
    assert life.sees(2, 1).said == ("True", "True", "True", "Unknown Queued")


def test_code_that_cannot_run_stays_unhealthy_until_a_pod_is_ready():
    life = Life().sees(1, 0, IMPORT_FAILED)
    failed = "False ImportFailed"
    assert life.said == (failed, "Unknown Deploying", failed, "Unknown Deploying")
    assert life.sees(1, 0).said[2] == failed
    assert life.sees(1, 1).said == SERVING


def test_code_that_fails_when_first_asked_for_is_seen_at_zero_too():
    life = Life(ZERO).sees(0, 0).sees(0, 0, IMPORT_FAILED)
    assert life.said == ("False ImportFailed", "True", "False ImportFailed", "False NoTraffic")


def test_a_crash_of_the_only_pod_shows_and_heals():
    ended = {"state": {"terminated": {"exitCode": 137, "message": "killed"}}}
    pod = {"metadata": {"name": "p"}, "status": {"containerStatuses": [ended]}}
    life = Life().sees(1, 1).sees(1, 0, pods=[pod])
    assert life.said[0] == "False ExitCode137"
    assert life.sees(1, 1).said == SERVING
    assert life.sees(0, 0, pods=[pod]).said == IDLE  # scaled in: how it ended is no failure


def test_no_room_is_not_the_containers_fault_and_no_failure_while_it_serves():
    life = Life().sees(1, 0, NO_ROOM)
    assert life.said[:3] == ("False NoCapacity", "False NoCapacity", "Unknown Deploying")
    assert life.sees(1, 0).said == DEPLOYING
    assert life.sees(2, 1, NO_ROOM).said == SERVING


def test_the_deadline_counts_from_when_it_began_to_deploy():
    life = Life().sees(1, 0)
    assert life.outcome.again_after_s == 600
    assert life.sees(1, 0, after_s=200).outcome.again_after_s == 400
    assert life.sees(1, 0, after_s=400).said[:2] == (LATE, LATE)
    assert life.outcome.again_after_s is None or life.outcome.again_after_s > 0
    assert life.sees(1, 0, after_s=10).said[:2] == (LATE, LATE)
    assert life.sees(0, 0).said == (LATE, LATE, "Unknown Deploying", "False TimedOut")
    assert life.sees(1, 1).said == SERVING


def test_a_container_that_still_waits_at_the_deadline_gives_the_reason():
    waiting = {"state": {"waiting": {"reason": "ContainerCreating", "message": "m"}}}
    pod = {"metadata": {"name": "p"}, "status": {"containerStatuses": [waiting]}}
    life = Life().sees(1, 0, pods=[pod]).sees(1, 0, pods=[pod], after_s=600)
    assert life.said[:2] == ("False ContainerCreating", "False ContainerCreating")


def test_scaled_to_zero_before_it_came_up_it_has_failed():
    life = Life().sees(1, 0).sees(0, 0)
    assert life.said == (LATE, LATE, "Unknown Deploying", "False TimedOut")
    failed = Life().sees(1, 0, IMPORT_FAILED).sees(0, 0)
    assert failed.said[1:3] == ("Unknown Deploying", "False ImportFailed")


def test_what_another_owns_is_named():
    life = Life().sees(1, 1, owner="someone")
    assert life.said[:2] == ("False NotOwned", "False NotOwned")
    assert "actualReplicas" not in life.outcome.status


def test_where_nodes_come_when_they_are_needed_a_pod_without_one_is_no_failure():
    homeless = {
        "metadata": {"name": "p"}, "spec": {},
        "status": {"conditions": [{"type": "PodScheduled", "status": "False",
                                   "reason": "Unschedulable", "message": "0/1 nodes"}]},
    }  # fmt: skip
    assert Life().sees(1, 0, pods=[homeless]).said[1] == "False Unschedulable"
    assert Life().sees(1, 0, pods=[homeless], always_schedulable=True).said == DEPLOYING
