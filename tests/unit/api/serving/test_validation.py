import pytest

from hearth.api.durations import parse_duration_s
from hearth.api.serving.defaults import default_route, default_service
from hearth.api.serving.validation import (
    validate_configuration,
    validate_revision,
    validate_route,
    validate_service,
)


def service(container=None, *, template=None, traffic=None, name="hello", **spec):
    containers = [{"image": "x", **(container or {})}]
    template = {"metadata": template or {}, "spec": {"containers": containers, **spec}}
    wire = {"metadata": {"name": name}, "spec": {"template": template}}
    if traffic:
        wire["spec"]["traffic"] = traffic
    return default_service(wire)


def said(faults):
    return "; ".join(fault.message for fault in faults)


def test_defaults_are_knatives():
    wire = service()
    spec = wire["spec"]["template"]["spec"]
    assert (spec["containerConcurrency"], spec["timeoutSeconds"]) == (0, 300)
    assert spec["enableServiceLinks"] is False
    [container] = spec["containers"]
    assert container["name"] == "user-container"
    assert container["readinessProbe"] == {"successThreshold": 1, "tcpSocket": {"port": 0}}
    assert wire["spec"]["traffic"] == [{"percent": 100, "latestRevision": True}]
    assert default_service(wire) == wire, "defaulting twice changes nothing"
    assert validate_service(wire, None) == []


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        pytest.param(service(name="Bad_Name"), "metadata.name", id="name"),
        pytest.param(service({"image": ""}), "missing field(s): spec.template.spec.containers[0]"
                     ".image", id="no-image"),
        pytest.param(service(containers=[]), "missing field(s): spec.template.spec.containers",
                     id="no-container"),
        pytest.param(service({"ports": [{"containerPort": 1}, {"containerPort": 2}]}),
                     "more than one container port is set", id="two-ports"),
        pytest.param(service({"ports": [{"containerPort": 9090}]}), "9090 is a reserved port",
                     id="reserved-port"),
        pytest.param(service({"ports": [{"containerPort": 80, "name": "grpc"}]}),
                     "Port name grpc is not allowed", id="port-name"),
        pytest.param(service({"env": [{"name": "PORT"}]}), '"PORT" is a reserved', id="env"),
        pytest.param(service({"lifecycle": {"preStop": {}}}), "must not set the field(s)",
                     id="lifecycle"),
        pytest.param(service(timeoutSeconds=601), "expected 0 <= 601 <= 600", id="timeout"),
        pytest.param(service(containerConcurrency=-1), "expected 0 <= -1 <= 1000", id="limit"),
        pytest.param(service(template={"name": "other-1"}),
                     'invalid value: "other-1" must have prefix "hello-": spec.template.metadata',
                     id="byo-name"),
        pytest.param(service(template={"annotations": {"autoscaling.knative.dev/min-scale": "x"}}),
                     "invalid value: x", id="annotation"),
        pytest.param(service(template={"annotations": {
            "autoscaling.knative.dev/min-scale": "5", "autoscaling.knative.dev/max-scale": "2"}}),
            "max-scale=2 is less than min-scale=5", id="min-over-max"),
        pytest.param(service({"image": "hearth.dev/runtimes/python"}), "hearth.dev/code",
                     id="runtime-without-code"),
        pytest.param(service({"image": "hearth.dev/runtimes/python"}, template={"annotations": {
            "hearth.dev/code": "hearth:///x", "hearth.dev/code-digest": "md5:1"}}),
            "sha256", id="digest"),
        pytest.param(service(traffic=[{"percent": 50, "latestRevision": True}]),
                     "Traffic targets sum to 50, want 100", id="percent"),
        pytest.param(service(traffic=[{"percent": 100, "revisionName": "a",
                                       "latestRevision": True}]),
                     "may not set revisionName", id="revision-and-latest"),
        pytest.param(service(traffic=[{"percent": 100, "tag": "a"}, {"tag": "a"}]),
                     "Multiple definitions for a", id="tags"),
        pytest.param(service(traffic=[{"percent": 100, "configurationName": "a"}]),
                     "must not set the field(s): spec.traffic[0].configurationName",
                     id="configuration-in-a-service"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_path(wire, message):
    assert message in said(validate_service(wire, None))


def test_a_named_template_needs_a_new_name_with_every_change():
    old = service(template={"name": "hello-1"})
    new = service({"image": "y"}, template={"name": "hello-1"})
    assert "without a name change" in said(validate_service(new, old))
    assert validate_service(service({"image": "y"}, template={"name": "hello-2"}), old) == []


def test_a_revision_never_changes():
    old = {"metadata": {}, "spec": service()["spec"]["template"]["spec"]}
    assert validate_revision(old, old) == []
    new = {**old, "spec": {**old["spec"], "timeoutSeconds": 5}}
    assert "Immutable" in said(validate_revision(new, old))


def test_a_route_names_a_revision_or_a_configuration():
    def route(target):
        wire = {"metadata": {"name": "r"}, "spec": {"traffic": [target]}}
        return said(validate_route(default_route(wire), None))

    assert route({"percent": 100, "configurationName": "c"}) == ""
    assert "got neither" in route({"percent": 100})
    both = {"percent": 100, "configurationName": "c", "revisionName": "r"}
    assert "got both" in route(both)
    empty = {"metadata": {"name": "r"}, "spec": {}}
    assert "spec.traffic" in said(validate_route(empty, None))


def test_a_configuration_needs_a_template():
    assert "spec.template.spec" in said(
        validate_configuration({"metadata": {"name": "c"}, "spec": {}}, None)
    )


def test_the_creator_stays():
    old = service()
    old["metadata"]["annotations"] = {"serving.knative.dev/creator": "me"}
    new = service()
    new["metadata"]["annotations"] = {"serving.knative.dev/creator": "you"}
    assert "immutable" in said(validate_service(new, old))


@pytest.mark.parametrize(
    ("text", "seconds"), [("60s", 60), ("1m30s", 90), ("0", 0), ("1.5h", 5400), ("10ms", 0.01)]
)
def test_durations(text, seconds):
    assert parse_duration_s(text) == pytest.approx(seconds)
