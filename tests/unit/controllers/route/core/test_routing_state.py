import pytest

from hearth.controllers.route.core.routing_state import (
    Marked,
    mark_configuration,
    mark_revision,
    may_clear,
    referenced,
)
from hearth.controllers.route.core.traffic import Targets

AT = "2026-01-02T00:00:00Z"
ROUTES, STATE = "serving.knative.dev/routes", "serving.knative.dev/routingState"
MODIFIED = "serving.knative.dev/routingStateModified"


def revision(name, owner="c", kind="Configuration"):
    owners = [{"kind": kind, "name": owner, "controller": True}]
    return {"metadata": {"name": name, "ownerReferences": owners}}


REVISIONS = {name: revision(name) for name in ("r1", "r2", "r3")}
REVISIONS["loose"] = revision("loose", kind="Pod")
CONFIGURATIONS = {
    "c": {"metadata": {"name": "c"}, "status": {"latestCreatedRevisionName": "r3"}},
    "ahead": {"metadata": {"name": "ahead"}, "status": {"latestCreatedRevisionName": "unseen"}},
    "young": {"metadata": {"name": "young"}},
}
KNOWN = Targets(CONFIGURATIONS.get, REVISIONS.get)
LATEST = {"configurationName": "c", "latestRevision": True}


@pytest.mark.parametrize(
    ("spec", "status", "revisions", "configurations"),
    [
        pytest.param([LATEST], [], {"r3"}, {"c"}, id="newest-before-it-is-ready"),
        pytest.param(
            [LATEST], [{"revisionName": "r2", "latestRevision": True}], {"r2", "r3"}, {"c"},
            id="what-serves-now-too",
        ),
        pytest.param([{"revisionName": "r1"}], [], {"r1"}, {"c"}, id="pinned"),
        pytest.param([{"revisionName": "loose"}], [], {"loose"}, set(), id="no-configuration"),
        pytest.param([{"revisionName": "unseen"}], [], set(), set(), id="revision-not-there"),
        pytest.param([{"configurationName": "no"}], [], set(), set(), id="configuration-not-there"),
        pytest.param(
            [{"configurationName": "ahead", "latestRevision": True}], [], set(), {"ahead"},
            id="newest-not-seen-yet",
        ),
        pytest.param(
            [{"configurationName": "young", "latestRevision": True}], [], set(), {"young"},
            id="none-made-yet",
        ),
    ],
)  # fmt: skip
def test_what_a_route_refers_to(spec, status, revisions, configurations):
    route = {"spec": {"traffic": spec}, "status": {"traffic": status}}
    want = Marked(frozenset(revisions), frozenset(configurations))
    assert referenced(route, KNOWN) == want


@pytest.mark.parametrize(
    ("ready", "observed", "want"),
    [
        pytest.param("True", 1, True, id="ready"),
        pytest.param("False", 1, True, id="failed"),
        pytest.param("Unknown", 1, False, id="on-its-way"),
        pytest.param("True", 0, False, id="said-of-an-older-generation"),
    ],
)
def test_old_marks_go_only_once_the_new_state_stands(ready, observed, want):
    conditions = [{"type": "Ready", "status": ready}]
    status = {"observedGeneration": observed, "conditions": conditions}
    assert may_clear({"metadata": {"generation": 1}, "status": status}) is want


def marked(routes="", state="pending"):
    annotations = {ROUTES: routes} if routes else {}
    return {"metadata": {"labels": {STATE: state}, "annotations": annotations}}


@pytest.mark.parametrize(
    ("given", "wanted", "want"),
    [
        pytest.param(
            marked(), True,
            {"labels": {STATE: "active"}, "annotations": {ROUTES: "r", MODIFIED: AT}}, id="first",
        ),
        pytest.param(marked("r", "active"), True, None, id="is-so"),
        pytest.param(marked("a", "active"), True, {"annotations": {ROUTES: "a,r"}}, id="second"),
        pytest.param(
            marked("a,r", "active"), False, {"annotations": {ROUTES: "a"}}, id="another-stays"
        ),
        pytest.param(
            marked("r", "active"), False,
            {"labels": {STATE: "reserve"}, "annotations": {ROUTES: None, MODIFIED: AT}}, id="last",
        ),
        pytest.param(marked("", "reserve"), False, None, id="was-not-there"),
    ],
)  # fmt: skip
def test_a_revisions_mark(given, wanted, want):
    patch = mark_revision(given, "r", AT, wanted=wanted)
    assert patch == (None if want is None else {"metadata": want})


def test_a_configurations_mark_has_no_state():
    assert mark_configuration(marked(), "r", wanted=True) == {
        "metadata": {"annotations": {ROUTES: "r"}}
    }
    assert mark_configuration(marked("r"), "r", wanted=True) is None
