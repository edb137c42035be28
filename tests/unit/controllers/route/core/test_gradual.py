import pytest

from hearth.controllers.route.core.gradual import (
    ROLLOUT_ANNOTATION,
    Moment,
    gradual,
    rollout_duration_s,
)
from hearth.controllers.route.core.traffic import Target

S = 1_000_000_000
OWNERS = {"a": "hello", "b": "hello", "x": ""}


def follows(revision, percent=100, tag=""):
    return Target(revision, percent, True, tag, "hello")


class Life:
    """A Route whose status is written after each look."""

    def __init__(self, **annotations):
        self.wire = {"metadata": {"annotations": annotations}}

    def looks(self, targets, at_s, duration_s=10, has_gateways=True):
        moment = Moment(duration_s, int(at_s * S), has_gateways, lambda name: OWNERS.get(name, ""))
        self.now = gradual(self.wire, targets, moment)
        traffic = [
            {"revisionName": one.revision, "percent": one.percent, "latestRevision": one.latest,
             "tag": one.tag}
            for one in self.now.targets
        ]  # fmt: skip
        status = {"traffic": traffic, "annotations": {ROLLOUT_ANNOTATION: self.now.note}}
        self.wire = {**self.wire, "status": status}
        return [(one.revision, one.percent, *filter(None, [one.tag])) for one in self.now.targets]


def test_traffic_moves_in_equal_steps_over_the_time_given():
    life = Life()
    assert life.looks([follows("a")], at_s=0) == [("a", 100)]
    assert life.now.note == ""
    assert life.looks([follows("b")], at_s=1) == [("a", 99), ("b", 1)]
    assert life.now.again_after_s is None  # the gateways must have the first percent
    assert life.looks([follows("b")], at_s=1.5, has_gateways=False) == [("a", 99), ("b", 1)]
    assert life.looks([follows("b")], at_s=2) == [("a", 99), ("b", 1)]
    assert life.now.again_after_s == 1
    seen = []
    at_s = 2.0
    while life.now.note:
        at_s += life.now.again_after_s
        seen.append(life.looks([follows("b")], at_s))
    assert seen[:2] == [[("a", 88), ("b", 12)], [("a", 77), ("b", 23)]]
    assert seen[-1] == [("b", 100)]
    assert at_s == pytest.approx(11)


def test_without_a_duration_traffic_moves_at_once():
    life = Life()
    life.looks([follows("a")], at_s=0)
    assert life.looks([follows("b")], at_s=1, duration_s=0) == [("b", 100)]


def test_a_duration_that_is_taken_away_ends_the_rollout():
    life = Life()
    life.looks([follows("a")], at_s=0)
    life.looks([follows("b")], at_s=1)
    assert life.looks([follows("b")], at_s=2, duration_s=0) == [("b", 100)]
    assert life.now.note == ""


def test_a_revision_by_name_gets_its_share_at_once():
    life = Life()
    life.looks([follows("a")], at_s=0)
    pinned = Target("x", 40, False)
    found = life.looks([pinned, follows("b", 60)], at_s=1)
    assert found == [("x", 40), ("a", 59), ("b", 1)]


def test_a_rollback_by_name_ends_a_rollout():
    life = Life()
    life.looks([follows("a")], at_s=0)
    life.looks([follows("b")], at_s=1)
    assert life.looks([Target("a", 100, False)], at_s=2) == [("a", 100)]
    assert life.now.note == ""


def test_a_new_tag_and_a_tag_without_traffic_move_at_once():
    life = Life()
    life.looks([follows("a"), follows("a", 0, "latest")], at_s=0)
    found = life.looks([follows("b"), follows("b", 0, "latest")], at_s=1)
    assert found == [("a", 99), ("b", 1), ("b", 0, "latest")]
    found = life.looks([follows("b", 50, "new"), follows("b", 50)], at_s=2)
    assert found == [("b", 50, "new"), ("a", 49), ("b", 1)]


@pytest.mark.parametrize(
    ("annotations", "default_s", "want"),
    [
        pytest.param({}, 0, 0, id="none"),
        pytest.param({}, 7, 7, id="the-default"),
        pytest.param({"serving.knative.dev/rollout-duration": "1m30s"}, 7, 90, id="own"),
        pytest.param({"serving.knative.dev/rolloutDuration": "20s"}, 7, 20, id="other-spelling"),
        pytest.param({"serving.knative.dev/rolloutDuration": "0s"}, 7, 7, id="none-of-its-own"),
        pytest.param({"serving.knative.dev/rolloutDuration": "soon"}, 7, 7, id="unreadable"),
    ],
)
def test_the_duration_is_the_routes_own_or_the_default(annotations, default_s, want):
    assert rollout_duration_s({"metadata": {"annotations": annotations}}, default_s) == want
