import pytest

from hearth.controllers.configuration.core.status import configuration_status, failed_status

AT = "2026-01-02T00:00:00Z"


def configuration(**status):
    return {"metadata": {"name": "hello", "generation": 2}, "spec": {}, "status": status}


def revision(name, ready=None, message=""):
    conditions = [{"type": "Ready", "status": ready, "message": message}] if ready else []
    return {"metadata": {"name": name}, "status": {"conditions": conditions}}


NEW, OLD = revision("b", "True"), revision("a", "True")
FAILED = revision("b", "False", "no such module")
SAID = 'Revision "b" failed with message: no such module.'


@pytest.mark.parametrize(
    ("was", "created", "ready", "latest", "want"),
    [
        pytest.param({}, revision("b"), None, None, ("Unknown", "", ""), id="first-not-ready"),
        pytest.param({}, NEW, NEW, "b", ("True", "", ""), id="ready"),
        pytest.param({}, revision("b"), OLD, "a", ("Unknown", "", ""), id="old-one-ready"),
        pytest.param({}, FAILED, None, None, ("False", "RevisionFailed", SAID), id="failed"),
        pytest.param(
            {"latestReadyRevisionName": "a"}, FAILED, OLD, "a", ("False", "RevisionFailed", SAID),
            id="failed-but-old-one-serves",
        ),
        pytest.param(
            {"latestReadyRevisionName": "b"}, FAILED, None, "b", ("False", "RevisionFailed", SAID),
            id="latest-ready-failed",
        ),
    ],
)  # fmt: skip
def test_ready_is_what_the_newest_revision_is(was, created, ready, latest, want):
    status = configuration_status(configuration(**was), created, ready, AT)
    [said] = status["conditions"]
    assert (said["status"], said.get("reason", ""), said.get("message", "")) == want
    assert status["latestCreatedRevisionName"] == "b"
    assert status.get("latestReadyRevisionName") == latest
    assert status["observedGeneration"] == 2


def test_a_revision_that_cannot_be_made_is_said_with_the_reason():
    status = failed_status(configuration(latestReadyRevisionName="a"), "the name is taken", AT)
    [said] = status["conditions"]
    assert (said["status"], said["reason"]) == ("False", "RevisionFailed")
    assert said["message"] == "Revision creation failed with message: the name is taken."
    assert status["latestReadyRevisionName"] == "a"
