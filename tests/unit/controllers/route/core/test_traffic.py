import pytest

from hearth.controllers.route.core.traffic import BadTarget, Target, Targets, resolve_traffic

SERVICE, CONFIGURATION = "serving.knative.dev/service", "serving.knative.dev/configuration"


def configuration(name, latest="", ready="Unknown"):
    return {
        "metadata": {"name": name},
        "status": {
            "latestReadyRevisionName": latest,
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }


def revision(name, ready="True", service="hello", of="hello"):
    return {
        "metadata": {
            "name": name,
            "generation": 1,
            "labels": {SERVICE: service, CONFIGURATION: of} if service else {},
        },
        "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": ready}]},
    }


CONFIGURATIONS = {
    "hello": configuration("hello", "r2", "True"),
    "young": configuration("young"),
    "broken": configuration("broken", ready="False"),
    "ahead": configuration("ahead", "unseen"),
}
REVISIONS = {
    "r1": revision("r1"),
    "r2": revision("r2"),
    "starting": revision("starting", "Unknown"),
    "failed": revision("failed", "False"),
    "theirs": revision("theirs", service="other"),
    "loose": revision("loose", service=""),
    "orphan": revision("orphan", of="gone"),
}
KNOWN = Targets(CONFIGURATIONS.get, REVISIONS.get)


def route(*traffic, service="hello"):
    labels = {SERVICE: service} if service else {}
    return {"metadata": {"name": "hello", "labels": labels}, "spec": {"traffic": list(traffic)}}


def latest(percent=100, of="hello", **more):
    return {"configurationName": of, "latestRevision": True, "percent": percent, **more}


def pinned(name, percent=100, **more):
    return {"revisionName": name, "latestRevision": False, "percent": percent, **more}


def follows(percent):
    return Target("r2", percent, True, configuration="hello")


@pytest.mark.parametrize(
    ("given", "want"),
    [
        pytest.param(route(latest()), [follows(100)], id="latest"),
        pytest.param(route(pinned("r1")), [Target("r1", 100, False)], id="rollback"),
        pytest.param(
            route(pinned("r1", 80, tag="old"), latest(20)),
            [Target("r1", 80, False, "old"), follows(20)],
            id="split-with-tag",
        ),
        pytest.param(
            route(pinned("r2", 30), latest(50), pinned("r2", 20)),
            [Target("r2", 50, False), follows(50)],
            id="same-target-twice-adds-up",
        ),
        pytest.param(
            route({"revisionName": "r1", "tag": "t"}, {"configurationName": "hello"}),
            [Target("r1", 0, False, "t"), follows(0)],
            id="unsaid-percent-and-latest",
        ),
        pytest.param(
            route(pinned("theirs"), service=""), [Target("theirs", 100, False)], id="free-route"
        ),
        pytest.param(
            route(pinned("loose"), service=""), [Target("loose", 100, False)], id="free-revision"
        ),
    ],
)  # fmt: skip
def test_traffic_that_resolves(given, want):
    assert resolve_traffic(given, KNOWN) == want


def missing(status, message):
    return BadTarget(status, "RevisionMissing", message)


@pytest.mark.parametrize(
    ("given", "want"),
    [
        pytest.param(
            route(latest(of="young")),
            missing("Unknown", 'Configuration "young" is waiting for a Revision to become ready.'),
            id="not-ready-yet",
        ),
        pytest.param(
            route(latest(of="broken")),
            missing("False", 'Configuration "broken" does not have any ready Revision.'),
            id="no-ready-revision",
        ),
        pytest.param(
            route(latest(of="gone")),
            BadTarget(
                "False", "ConfigurationMissing",
                'Configuration "gone" referenced in traffic not found.',
            ),
            id="no-configuration",
        ),
        pytest.param(
            route(latest(of="ahead")),
            missing("False", 'Revision "unseen" referenced in traffic not found.'),
            id="latest-is-gone",
        ),
        pytest.param(
            route(pinned("starting")), missing("Unknown", 'Revision "starting" is not yet ready.'),
            id="pinned-starting",
        ),
        pytest.param(
            route(pinned("failed")), missing("False", 'Revision "failed" failed to become ready.'),
            id="pinned-failed",
        ),
        pytest.param(
            route(pinned("theirs")),
            BadTarget(
                "False", "RevisionNotOwned",
                'Revision "theirs" belongs to Service "other", not Service "hello".',
            ),
            id="another-services",
        ),
        pytest.param(
            route(pinned("loose")),
            BadTarget(
                "False", "RevisionNotOwned", 'Revision "loose" does not belong to Service "hello".'
            ),
            id="no-services",
        ),
        pytest.param(
            route(pinned("orphan")),
            BadTarget(
                "False", "ConfigurationMissing",
                'Configuration "gone" referenced in traffic not found.',
            ),
            id="orphan",
        ),
        pytest.param(
            route(pinned("starting", 50), pinned("failed", 50)),
            missing("False", 'Revision "failed" failed to become ready.'),
            id="a-failure-before-a-delay",
        ),
        pytest.param(
            route(pinned("failed", 50), pinned("starting", 50)),
            missing("False", 'Revision "failed" failed to become ready.'),
            id="in-any-order",
        ),
    ],
)  # fmt: skip
def test_traffic_that_does_not(given, want):
    assert resolve_traffic(given, KNOWN) == want
