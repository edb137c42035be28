"""Which revisions are removed, by Knative's rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hearth.api.config import GcConfig, read_gc
from hearth.controllers.configuration.core.garbage import garbage

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = 3600.0
#: One hour after it was made and left a revision is stale; none must stay.
STRICT = GcConfig(since_create_s=HOUR, since_active_s=HOUR, min_non_active=0, max_non_active=None)


def at(hours_ago):
    return (NOW - timedelta(hours=hours_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def revision(name, *, made=10.0, left=5.0, state="reserve", **annotations):
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": at(made),
            "labels": {"serving.knative.dev/routingState": state},
            "annotations": {"serving.knative.dev/routingStateModified": at(left), **annotations},
        }
    }


def removed(config, *revisions, latest=()):
    return [one["metadata"]["name"] for one in garbage(revisions, latest, config, NOW)[0]]


def test_stale_revisions_go_oldest_first():
    assert removed(STRICT, revision("b", left=2), revision("a", left=3)) == ["a", "b"]


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(revision("x", state="active"), id="has-traffic"),
        pytest.param(revision("x", state="pending"), id="is-new"),
        pytest.param(revision("x", left=0.5), id="had-traffic-lately"),
        pytest.param(revision("x", made=0.5, left=0.5), id="young"),
        pytest.param(revision("x", **{"serving.knative.dev/no-gc": "true"}), id="kept-by-wish"),
    ],
)
def test_what_may_be_needed_stays(kept):
    assert removed(STRICT, kept, revision("a")) == ["a"]


def test_the_latest_ready_revision_stays():
    assert removed(STRICT, revision("a"), revision("b"), latest=["a"]) == ["b"]


def test_some_stay_though_they_are_stale():
    config = read_gc({"retain-since-create-time": "1h", "retain-since-last-active-time": "1h",
                      "min-non-active-revisions": "2"})  # fmt: skip
    three = [revision(name, left=left) for name, left in (("a", 4), ("b", 3), ("c", 2))]
    assert removed(config, *three) == ["a"]


def test_too_many_go_though_they_are_young():
    config = read_gc({"retain-since-create-time": "disabled",
                      "retain-since-last-active-time": "disabled",
                      "min-non-active-revisions": "0",
                      "max-non-active-revisions": "1"})  # fmt: skip
    assert removed(config, revision("a", left=0.2), revision("b", left=0.1)) == ["a"]


def test_when_to_look_again_is_when_the_next_is_stale():
    _, again_s = garbage([revision("a", left=0.75), revision("b", left=0.5)], [], STRICT, NOW)
    assert again_s == pytest.approx(HOUR / 4)


def test_disabled_keeps_everything():
    off = dict.fromkeys(("retain-since-create-time", "retain-since-last-active-time",
                         "max-non-active-revisions"), "disabled")  # fmt: skip
    assert removed(read_gc(off), *(revision(str(n)) for n in range(50))) == []


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"min-non-active-revisions": "x"}, "min-non-active-revisions"),
        ({"min-non-active-revisions": "-1"}, "must be non-negative, was: -1"),
        ({"retain-since-create-time": "soon"}, "failed to parse retain-since-create-time"),
        ({"max-non-active-revisions": "3", "min-non-active-revisions": "4"},
         r"min-non-active-revisions\(4\) must be <= max-non-active-revisions\(3\)"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(data, said):
    with pytest.raises(ValueError, match=said):
        read_gc(data)
