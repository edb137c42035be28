"""A review answers as our API server would."""

from __future__ import annotations

import base64
import json

import jsonpatch
import pytest

from hearth.admission.core.review import mutate, validate
from hearth.api.config.serving import ServingConfig, read_serving
from hearth.api.errors import BadRequest

SERVICES = {"group": "serving.knative.dev", "version": "v1", "resource": "services"}
CREATOR, MODIFIER = "serving.knative.dev/creator", "serving.knative.dev/lastModifier"


def service(image="x", annotations=None, **metadata):
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {
            "name": "a",
            "namespace": "default",
            **({"annotations": annotations} if annotations else {}),
            **metadata,
        },
        "spec": {"template": {"spec": {"containers": [{"image": image}]}}},
    }


def review(wire, old=None, resource=SERVICES, user="kim"):
    request = {"uid": "u1", "resource": resource, "object": wire, "userInfo": {"username": user}}
    return {"request": {**request, **({"oldObject": old} if old else {})}}


def patched(wire, answer):
    assert answer["response"]["uid"] == "u1"
    assert answer["response"]["allowed"]
    if "patch" not in answer["response"]:
        return wire
    assert answer["response"]["patchType"] == "JSONPatch"
    return jsonpatch.apply_patch(wire, json.loads(base64.b64decode(answer["response"]["patch"])))


def mutating(asked):
    return mutate(asked, ServingConfig())


def validating(asked, config=None):
    return validate(asked, config or ServingConfig())


def mutated(wire, old=None, **asked):
    return patched(wire, mutating(review(wire, old, **asked)))


def test_a_new_object_is_given_its_defaults_and_says_who_made_it():
    made = mutated(service())
    spec = made["spec"]["template"]["spec"]
    assert (spec["timeoutSeconds"], spec["containers"][0]["name"]) == (300, "user-container")
    assert made["metadata"]["annotations"] == {CREATOR: "kim", MODIFIER: "kim"}


def test_what_is_whole_is_not_patched_again():
    made = mutated(service())
    assert "patch" not in mutating(review(made))["response"]


def test_who_changes_the_spec_is_noted_and_who_made_it_stays():
    made = mutated(service())
    changed = {**made, "spec": service(image="y")["spec"]}
    after = mutated(changed, made, user="lou")
    assert after["metadata"]["annotations"] == {CREATOR: "kim", MODIFIER: "lou"}


def test_fields_of_the_wrong_type_are_left_for_the_schema_to_refuse():
    wire = service()
    wire["spec"]["template"]["spec"]["timeoutSeconds"] = "x"
    assert mutating(review(wire))["response"] == {"uid": "u1", "allowed": True}


def test_a_label_is_no_change_of_the_spec():
    made = mutated(service())
    labelled = {**made, "metadata": {**made["metadata"], "labels": {"a": "b"}}}
    assert mutated(labelled, made, user="lou")["metadata"]["annotations"][MODIFIER] == "kim"


def test_our_own_controllers_are_not_noted():
    own = "system:serviceaccount:hearth-system:hearth-controller"
    assert "annotations" not in mutated(service(), user=own)["metadata"]


@pytest.mark.parametrize("answer", [mutating, validating])
def test_what_is_on_its_way_out_passes(answer):
    going = service(deletionTimestamp="2026-01-01T00:00:00Z") | {"spec": {}}
    assert answer(review(going))["response"] == {"uid": "u1", "allowed": True}


def test_a_fault_is_refused_with_its_field():
    wire = mutated(service())
    wire["spec"]["template"]["spec"]["containerConcurrency"] = -1
    response = validating(review(wire))["response"]
    assert not response["allowed"]
    assert response["status"]["code"] == 422
    assert "containerConcurrency" in response["status"]["message"]


def test_a_good_object_passes():
    assert validating(review(mutated(service())))["response"]["allowed"]


def test_what_knative_warns_of_is_warned_of():
    wire = mutated(service())
    wire["spec"]["template"]["spec"]["nodeSelector"] = {"a": "b"}
    from hearth.api.resources import resource_for

    said = resource_for(*SERVICES.values()).notices(wire)
    assert validating(review(wire))["response"].get("warnings", []) == said


def test_config_maps_bind_users_and_not_our_controllers():
    config = read_serving({"config-defaults": {"max-revision-timeout-seconds": "300"}})
    wire = mutated(service())
    wire["spec"]["template"]["spec"]["timeoutSeconds"] = 301
    own = "system:serviceaccount:hearth-system:hearth-controller"
    assert not validating(review(wire), config)["response"]["allowed"]
    assert validating(review(wire, user=own), config)["response"]["allowed"]


def test_a_revision_does_not_change():
    revision = {**service(), "kind": "Revision", "spec": service()["spec"]["template"]["spec"]}
    kind = SERVICES | {"resource": "revisions"}
    old = mutated(revision, resource=kind)
    new = json.loads(json.dumps(old))
    new["spec"]["containers"][0]["image"] = "y"
    assert not validating(review(new, old, resource=kind))["response"]["allowed"]


def test_config_maps_are_held_to_knatives_rules():
    kind = {"group": "", "version": "v1", "resource": "configmaps"}
    wire = {
        "metadata": {"name": "config-autoscaler", "namespace": "knative-serving"},
        "data": {"stable-window": "never"},
    }
    assert not validating(review(wire, resource=kind))["response"]["allowed"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param([], id="a-list"),
        pytest.param({}, id="nothing"),
        pytest.param({"request": {"resource": "services"}}, id="no-resource"),
        pytest.param(
            review({}, resource={"group": "x", "version": "v1", "resource": "ys"}), id="x"
        ),
    ],
)
@pytest.mark.parametrize("answer", [mutating, validating])
def test_what_is_no_review_of_ours_is_refused(answer, body):
    with pytest.raises(BadRequest):
        answer(body)
