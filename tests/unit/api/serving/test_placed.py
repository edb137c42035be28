"""Annotations in the wrong place are refused where they are written."""

import pytest

from hearth.api.serving.defaults import default_route, default_service
from hearth.api.serving.validation import validate_configuration, validate_route, validate_service

MIN = "autoscaling.knative.dev/min-scale"
ROLLOUT = "serving.knative.dev/rollout-duration"


def service(annotations=None, of_template=None):
    template = {"metadata": of_template or {}, "spec": {"containers": [{"image": "x"}]}}
    meta = {"name": "hello", "annotations": annotations or {}}
    return default_service({"metadata": meta, "spec": {"template": template}})


def route(annotations):
    traffic = [{"configurationName": "c", "percent": 100}]
    meta = {"name": "hello", "annotations": annotations}
    return default_route({"metadata": meta, "spec": {"traffic": traffic}})


def said(faults):
    return "; ".join(fault.message for fault in faults)


def test_the_autoscalers_annotations_belong_to_the_template():
    words = (
        f'invalid key name "{MIN}": metadata.annotations\nautoscaling annotations must be put '
        'under "spec.template.metadata.annotations" to work'
    )
    misplaced = service({MIN: "1"})
    assert said(validate_service(misplaced, None)) == words
    assert said(validate_route(route({MIN: "1"}), None)) == words
    configuration = {**misplaced, "spec": {"template": misplaced["spec"]["template"]}}
    assert said(validate_configuration(configuration, None)) == words
    assert validate_service(misplaced, misplaced) == [], "what is there is left alone"
    assert validate_service(service(of_template={"annotations": {MIN: "1"}}), None) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [("10s", ""), ("soon", f"invalid value: soon: metadata.annotations.{ROLLOUT}"),
     ("1500ms", "rollout-duration=1500ms is not at second precision"),
     ("-1s", "rollout-duration=-1s must be positive")],
)  # fmt: skip
def test_a_rollout_takes_whole_seconds(text, words):
    for found in (validate_service(service({ROLLOUT: text}), None),
                  validate_route(route({ROLLOUT: text}), None)):  # fmt: skip
        assert words in said(found)
        assert bool(found) == bool(words)


def test_unknown_annotations_of_networking_are_named():
    known = {"networking.knative.dev/http-protocol": "Enabled"}
    assert validate_service(service(of_template={"annotations": known}), None) == []
    unknown = {"networking.knative.dev/nope": "x"}
    assert said(validate_service(service(of_template={"annotations": unknown}), None)) == (
        'invalid key name "networking.knative.dev/nope": spec.template.metadata.annotations'
    )


def test_a_template_may_have_a_name_to_begin_with():
    assert validate_service(service(of_template={"generateName": "hello-"}), None) == []
    assert "not a DNS 1035 label prefix" in said(
        validate_service(service(of_template={"generateName": "Hello-"}), None)
    )


def test_a_start_that_may_take_longer_than_the_request_ends_nothing():
    wire = service()
    wire["spec"]["template"]["spec"] |= {"timeoutSeconds": 100, "responseStartTimeoutSeconds": 300}
    assert validate_service(wire, None) == []
