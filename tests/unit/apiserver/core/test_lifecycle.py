"""What becomes of an object when it is created or changed."""

from __future__ import annotations

import pytest

from hearth.api.errors import BadRequest, Invalid
from hearth.api.resources import resource_for
from hearth.apiserver.core.lifecycle import (
    Writer,
    check_fields,
    parse_checked,
    prepare_create,
    prepare_update,
)

AT, LATER = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
PODS = resource_for("", "v1", "pods")
NODES = resource_for("", "v1", "nodes")
SECRETS = resource_for("", "v1", "secrets")
SERVICES = resource_for("serving.knative.dev", "v1", "services")
CREATOR, MODIFIER = "serving.knative.dev/creator", "serving.knative.dev/lastModifier"


def by(user="admin", at=AT, **more):
    return Writer(user, "test", at, **more)


def pod(**meta):
    containers = [{"name": "c", "image": "i"}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n", **meta},
            "spec": {"containers": containers}}  # fmt: skip


def service(timeout_s=300, **annotations):
    template = {
        "metadata": {"annotations": {"hearth.dev/code": "data:text/x-python,app=1"}},
        "spec": {
            "containers": [{"image": "hearth.dev/runtimes/python"}],
            "timeoutSeconds": timeout_s,
        },
    }
    meta = {"name": "s", "namespace": "n", "annotations": annotations}
    return {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": meta,
            "spec": {"template": template}}  # fmt: skip


@pytest.mark.parametrize(
    ("wire", "said"),
    [
        pytest.param([], "is not an object", id="not-an-object"),
        pytest.param({"kind": "Pod"}, "the object has kind 'Pod'", id="another-kind"),
        pytest.param({"apiVersion": "v2"}, "the object has apiVersion 'v2'", id="another-version"),
    ],
)
def test_a_body_of_another_kind_is_refused(wire, said):
    with pytest.raises(BadRequest, match=said):
        parse_checked(SECRETS, wire, "Warn")


@pytest.mark.parametrize(
    ("strictness", "want"),
    [
        pytest.param("Warn", ['unknown field "spec.colour"'], id="warned-of"),
        pytest.param("Ignore", [], id="ignored"),
    ],
)
def test_an_unknown_field_is(strictness, want):
    assert parse_checked(PODS, {"spec": {"colour": "red"}}, strictness) == want


def test_an_unknown_field_is_refused_when_strict():
    with pytest.raises(BadRequest, match=r'strict decoding error: unknown field "spec\.colour"'):
        parse_checked(PODS, {"spec": {"colour": "red"}}, "Strict")


def test_a_field_of_the_wrong_type_is_named_with_its_path():
    with pytest.raises(Invalid, match=r"spec\.containers\[0\]\.image") as refused:
        parse_checked(PODS, {"spec": {"containers": [{"name": "a", "image": 5}]}}, "Warn")
    assert refused.value.status()["details"]["causes"][0]["field"] == "spec.containers[0].image"


def test_a_merge_patch_is_checked_by_itself():
    assert check_fields(PODS, {"spec": None, "status": {"phase": "Running"}}, "Strict", "p") == []
    with pytest.raises(Invalid, match=r'Pod "p" is invalid: status\.phase'):
        check_fields(PODS, {"status": {"phase": 1}}, "Strict", "p")


def test_a_new_object_gets_what_only_the_server_gives():
    new = prepare_create(PODS, pod(uid="mine", generation=9, deletionTimestamp=AT), "u", by())
    meta = new["metadata"]
    assert (meta["uid"], meta["generation"], meta["creationTimestamp"]) == ("u", 1, AT)
    assert "deletionTimestamp" not in meta
    assert meta["managedFields"][0]["manager"] == "test"


def test_a_new_object_has_no_version_yet():
    with pytest.raises(BadRequest, match="resourceVersion should not be set"):
        prepare_create(PODS, pod(resourceVersion="1"), "u", by())


def test_a_status_is_not_created_except_a_nodes():
    new = prepare_create(PODS, {**pod(), "status": {"phase": "Running"}}, "u", by())
    assert new["status"]["phase"] == "Pending"
    node = {"metadata": {"name": "n"}, "status": {"addresses": []}}
    assert prepare_create(NODES, node, "u", by())["status"] == {"addresses": []}


@pytest.mark.parametrize("name", ["", "Bad_Name", "-a", "a" * 300])
def test_a_bad_name_is_refused(name):
    with pytest.raises(Invalid, match=r"metadata\.name"):
        prepare_create(PODS, pod(name=name), "u", by())


def test_what_changes_nothing_is_the_old_object():
    old = prepare_create(PODS, pod(), "u", by())
    assert prepare_update(PODS, old, {**old}, by(at=LATER)) is old


def test_a_change_of_the_spec_counts_the_generation():
    old = prepare_create(SERVICES, service(), "u", by())
    new = prepare_update(SERVICES, old, service(timeout_s=5, **signed(old)), by(at=LATER))
    assert new["metadata"]["generation"] == 2
    assert new["metadata"]["uid"] == "u"
    labelled = {**new, "metadata": {**new["metadata"], "labels": {"a": "b"}}}
    assert prepare_update(SERVICES, new, labelled, by())["metadata"]["generation"] == 2


def signed(wire):
    return wire["metadata"].get("annotations", {})


def test_knative_s_kinds_say_who_created_and_last_changed_them():
    old = prepare_create(SERVICES, service(), "u", by("anna"))
    assert (signed(old)[CREATOR], signed(old)[MODIFIER]) == ("anna", "anna")
    new = prepare_update(SERVICES, old, service(timeout_s=5, **signed(old)), by("bert"))
    assert (signed(new)[CREATOR], signed(new)[MODIFIER]) == ("anna", "bert")


def test_our_controllers_do_not_sign():
    assert CREATOR not in signed(prepare_create(SERVICES, service(), "u", by("hearth:controller")))


def test_a_write_of_the_object_leaves_its_status_alone():
    old = {**prepare_create(PODS, pod(), "u", by()), "status": {"phase": "Running"}}
    new = {
        **old,
        "status": {"phase": "Failed"},
        "metadata": {**old["metadata"], "labels": {"a": "b"}},
    }
    changed = prepare_update(PODS, old, new, by())
    assert changed["status"]["phase"] == "Running"
    assert changed["metadata"]["labels"] == {"a": "b"}


def test_a_write_of_the_status_leaves_the_object_alone():
    old = prepare_create(SERVICES, service(), "u", by())
    new = {**service(timeout_s=5, a="b"), "status": {"url": "u"}}
    changed = prepare_update(SERVICES, old, new, by(), "status")
    assert changed["spec"] == old["spec"]
    assert signed(changed) == signed(old)
    assert changed["status"] == {"url": "u"}
    assert changed["metadata"]["managedFields"][-1]["subresource"] == "status"


def test_a_pods_status_write_may_annotate():
    old = prepare_create(PODS, pod(), "u", by())
    new = {**pod(annotations={"a": "b"}), "status": {"phase": "Running"}}
    assert signed(prepare_update(PODS, old, new, by(), "status")) == {"a": "b"}


def test_a_pods_status_write_without_annotations_keeps_them():
    old = prepare_create(PODS, pod(annotations={"a": "b"}), "u", by())
    new = {"status": {"phase": "Running"}}
    assert signed(prepare_update(PODS, old, new, by(), "status")) == {"a": "b"}


def test_an_applied_status_brings_its_record_of_owners():
    old = prepare_create(SERVICES, service(), "u", by())
    entries = [{"manager": "me", "operation": "Apply"}]
    new = {**old, "metadata": {**old["metadata"], "managedFields": entries}, "status": {"url": "u"}}
    changed = prepare_update(SERVICES, old, new, by(applies=True), "status")
    assert changed["metadata"]["managedFields"] == entries


def test_a_binding_may_change_spec_and_status():
    old = prepare_create(PODS, pod(), "u", by())
    new = {**old, "spec": {**old["spec"], "nodeName": "n"}, "status": {"conditions": []}}
    changed = prepare_update(PODS, old, new, by(), "binding")
    assert (changed["spec"]["nodeName"], changed["status"]) == ("n", {"conditions": []})


def test_an_applied_object_keeps_its_own_record_of_owners():
    entries = [{"manager": "me", "operation": "Apply"}]
    new = prepare_create(PODS, pod(managedFields=entries), "u", by(applies=True))
    assert new["metadata"]["managedFields"] == entries
    entries = [{"manager": "other", "operation": "Apply"}]
    again = {**new, "metadata": {**new["metadata"], "managedFields": entries}}
    changed = prepare_update(PODS, new, again, by(applies=True))
    assert changed["metadata"]["managedFields"] == entries


def test_empty_metadata_is_as_good_as_none():
    old = prepare_create(PODS, pod(finalizers=[], labels={}, annotations=None), "u", by())
    assert not {"finalizers", "labels", "annotations"} & set(old["metadata"])
    emptied = {**old, "metadata": {**old["metadata"], "ownerReferences": []}}
    assert prepare_update(PODS, old, emptied, by(at=LATER)) is old


@pytest.mark.parametrize("field", ["labels", "annotations"])
def test_labels_and_annotations_are_objects(field):
    with pytest.raises(Invalid, match=f"metadata.{field}"):
        prepare_create(PODS, pod(**{field: ["a"]}), "u", by())
