import pytest

from hearth.controllers.service.core.status import Children, Gate, route_gate, service_status

AT = "2026-01-02T00:00:00Z"
OWNER = [{"kind": "Service", "name": "hello", "uid": "s", "controller": True}]
STRANGER = [{"kind": "Service", "name": "other", "uid": "x", "controller": True}]


def service():
    return {"metadata": {"name": "hello", "uid": "s", "generation": 2}, "spec": {}}


def child(status, *, ready=("True", ""), owners=OWNER, observed=1, **spec):
    reason = {"reason": ready[1], "message": "why"} if ready and ready[1] else {}
    conditions = [{"type": "Ready", "status": ready[0], **reason}] if ready else []
    meta = {"name": "hello", "uid": "c", "generation": 1, "ownerReferences": owners}
    return {
        "metadata": meta,
        "spec": spec,
        "status": {**status, "observedGeneration": observed, "conditions": conditions},
    }


def configuration(named="", **kwargs):
    template = {"metadata": {"name": named}, "spec": {"image": "new"}}
    return child({"latestReadyRevisionName": "hello-2"}, template=template, **kwargs)


def route(wanted=({"percent": 100},), had=({"revisionName": "hello-2", "percent": 100},), **kwargs):
    return child({"url": "http://u", "traffic": list(had)}, traffic=list(wanted), **kwargs)


def conditions(status):
    return {one["type"]: (one["status"], one.get("reason", "")) for one in status["conditions"]}


def revision(owner="c", spec="old"):
    owners = [{"uid": owner, "controller": True}]
    return {"metadata": {"name": "hello-blue", "ownerReferences": owners}, "spec": {"image": spec}}


@pytest.mark.parametrize(
    ("given", "found", "want"),
    [
        pytest.param(configuration(), None, Gate.OPEN, id="names-of-ours"),
        pytest.param(configuration(owners=STRANGER), None, Gate.NOT_OWNED, id="not-owned"),
        pytest.param(configuration(observed=0), None, Gate.OPEN, id="need-not-wait"),
        pytest.param(configuration("hello-blue", observed=0), None, Gate.WAITING, id="byo-waits"),
        pytest.param(configuration("hello-blue"), None, Gate.OPEN, id="byo-none-yet"),
        pytest.param(configuration("hello-blue"), revision(spec="new"), Gate.OPEN, id="byo-same"),
        pytest.param(configuration("hello-blue"), revision(), Gate.NAME_TAKEN, id="byo-other-spec"),
        pytest.param(configuration("hello-blue"), revision("z"), Gate.NAME_TAKEN, id="byo-foreign"),
    ],
)
def test_when_the_route_may_follow(given, found, want):
    assert route_gate(service(), given, found) is want


@pytest.mark.parametrize(
    ("children", "configurations", "routes", "ready"),
    [
        pytest.param(
            Children(configuration(), Gate.OPEN, route()),
            ("True", ""), ("True", ""), ("True", ""), id="all-ready",
        ),
        pytest.param(
            Children(configuration(observed=0), Gate.OPEN, route(observed=0)),
            ("Unknown", "OutOfDate"), ("Unknown", "OutOfDate"), ("Unknown", "OutOfDate"),
            id="not-reconciled",
        ),
        pytest.param(
            Children(configuration(ready=("False", "RevisionFailed")), Gate.OPEN, route()),
            ("False", "RevisionFailed"), ("True", ""), ("False", "RevisionFailed"),
            id="revision-failed",
        ),
        pytest.param(
            Children(configuration(), Gate.OPEN, route(ready=("Unknown", "NoGateway"))),
            ("True", ""), ("Unknown", "NoGateway"), ("Unknown", "NoGateway"), id="no-gateway",
        ),
        pytest.param(
            Children(configuration(owners=STRANGER), Gate.NOT_OWNED, None),
            ("False", "NotOwned"), ("Unknown", ""), ("False", "NotOwned"), id="foreign",
        ),
        pytest.param(
            Children(configuration(), Gate.OPEN, route(owners=STRANGER)),
            ("True", ""), ("False", "NotOwned"), ("False", "NotOwned"), id="foreign-route",
        ),
        pytest.param(
            Children(configuration("hello-blue", observed=0), Gate.WAITING, None),
            ("Unknown", "OutOfDate"), ("Unknown", ""), ("Unknown", "OutOfDate"), id="byo-waits",
        ),
        pytest.param(
            Children(configuration("hello-blue"), Gate.NAME_TAKEN, None),
            ("True", ""), ("False", "RevisionNameTaken"), ("False", "RevisionNameTaken"),
            id="name-taken",
        ),
        pytest.param(
            Children(
                configuration(), Gate.OPEN, route(had=[{"revisionName": "hello-1", "percent": 100}])
            ),
            ("True", ""), ("Unknown", "TrafficNotMigrated"), ("Unknown", "TrafficNotMigrated"),
            id="traffic-behind",
        ),
        pytest.param(
            Children(
                configuration(),
                Gate.OPEN,
                route(wanted=[{"percent": 60}, {"percent": 40}]),
            ),
            ("True", ""), ("True", ""), ("True", ""), id="shares-of-one-revision-add-up",
        ),
        pytest.param(
            Children(configuration(ready=None), Gate.OPEN, route()),
            ("Unknown", ""), ("True", ""), ("Unknown", ""), id="child-without-conditions",
        ),
    ],
)  # fmt: skip
def test_the_conditions_are_the_childrens(children, configurations, routes, ready):
    said = conditions(service_status(service(), children, AT))
    assert (said["ConfigurationsReady"], said["RoutesReady"], said["Ready"]) == (
        configurations, routes, ready,
    )  # fmt: skip


def test_the_status_mirrors_its_children_and_drops_what_they_dropped():
    wire = service() | {"status": {"address": {"url": "old"}, "latestReadyRevisionName": "old"}}
    status = service_status(wire, Children(configuration(), Gate.OPEN, route()), AT)
    assert status["latestReadyRevisionName"] == "hello-2"
    assert (status["url"], status["observedGeneration"]) == ("http://u", 2)
    assert "address" not in status
