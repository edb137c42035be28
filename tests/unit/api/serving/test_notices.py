import pytest

from hearth.api.serving.notices import template_notices


def service(spec=None, annotations=None):
    template = {"metadata": {"annotations": annotations or {}}, "spec": spec or {}}
    return {"spec": {"template": template}}


def test_a_plain_service_is_told_nothing():
    assert template_notices(service({"idleTimeoutSeconds": 10, "containerConcurrency": 5})) == []
    burst = {"autoscaling.knative.dev/target-burst-capacity": "0"}
    assert template_notices(service(annotations=burst)) == []
    assert template_notices({"spec": {}}) == []


@pytest.mark.parametrize(
    ("wire", "named"),
    [
        pytest.param(service(annotations={"autoscaling.knative.dev/nope": "1"}),
                     "autoscaling.knative.dev/nope is no annotation", id="unknown-annotation"),
    ],
)  # fmt: skip
def test_what_has_no_effect_yet_is_said(wire, named):
    [said] = template_notices(wire)
    assert named in said
