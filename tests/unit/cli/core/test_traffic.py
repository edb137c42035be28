import pytest

from hearth.cli.core.traffic import LATEST, BadSplit, Change, change_traffic, missing_tags


def service(*targets):
    return {"spec": {"traffic": list(targets)}}


def latest(percent, **more):
    return {"latestRevision": True, "percent": percent, **more}


def at(revision, percent, **more):
    return {"revisionName": revision, "latestRevision": False, "percent": percent, **more}


@pytest.mark.parametrize(
    ("now", "percents", "want"),
    [
        pytest.param([latest(100)], {"a": 100}, [at("a", 100)], id="pin"),
        pytest.param([at("a", 100)], {"b": 20}, [at("a", 80), at("b", 20)], id="the-rest-stays"),
        pytest.param([at("a", 100)], {LATEST: 100}, [latest(100)], id="follow-the-latest"),
        pytest.param([], {"a": 30}, [latest(70), at("a", 30)], id="no-traffic-is-the-latest"),
        pytest.param(
            [at("a", 60), at("b", 30), at("c", 10)], {"d": 50},
            [at("a", 30), at("b", 15), at("c", 5), at("d", 50)], id="in-proportion",
        ),
        pytest.param(
            [at("a", 50), at("b", 50)], {"c": 33}, [at("a", 34), at("b", 33), at("c", 33)],
            id="whole-percents-that-sum-to-100",
        ),
        pytest.param(
            [at("a", 50), at("b", 50)], {"a": 0}, [at("b", 100)], id="none-for-one",
        ),
        pytest.param(
            [at("a", 100)], {"a": 50, "b": 50}, [at("a", 50), at("b", 50)], id="all-given",
        ),
        pytest.param([at("a", 40), at("a", 60)], {}, [at("a", 100)], id="merged-by-revision"),
    ],
)  # fmt: skip
def test_percentages(now, percents, want):
    assert list(change_traffic(service(*now), Change(percents))) == want


@pytest.mark.parametrize(
    ("percents", "said"),
    [
        pytest.param({"b": 80, "c": 30}, "sum to 110", id="over-100"),
        pytest.param({"a": 80}, "sum to 80", id="nobody-takes-the-rest"),
    ],
)
def test_percentages_that_do_not_add_up_are_refused(percents, said):
    with pytest.raises(BadSplit, match=said):
        change_traffic(service(at("a", 100)), Change(percents))


def test_tags_are_kept_moved_added_and_taken():
    now = service(at("a", 100, tag="old"), at("b", 0, tag="next"), at("c", 0, tag="gone"))
    change = Change(tags={"next": "a", "head": LATEST}, untag=frozenset({"gone"}))
    assert change_traffic(now, change) == [
        {"latestRevision": True, "percent": 0, "tag": "head"},
        at("a", 100, tag="next"),
        at("a", 0, tag="old"),
    ]


def test_tags_that_are_not_there_are_told():
    assert missing_tags(service(at("a", 100, tag="x")), ["x", "y"]) == ["y"]
