"""Definitions for a cluster say what our own API server does."""

from __future__ import annotations

import pytest

from hearth.api.crds import CUSTOM, make_crd
from hearth.api.kinds import POD_AUTOSCALER, POD_POOL, POOLED_REPLICA_SET, REVISION, SERVICE

CRDS = {resource.kind: make_crd(resource) for resource in CUSTOM}


def version(kind):
    [only] = CRDS[kind]["spec"]["versions"]
    return only


def schema(kind, *path):
    found = version(kind)["schema"]["openAPIV3Schema"]
    for name in path:
        found = found["items"] if name == "[]" else found["properties"][name]
    return found


def nodes(found):
    yield found
    for below in (found.get("properties") or {}).values():
        yield from nodes(below)
    for name in ("items", "additionalProperties"):
        if isinstance(found.get(name), dict):
            yield from nodes(found[name])


def test_kinds_that_are_only_shown_are_not_defined():
    assert POD_AUTOSCALER not in CRDS
    assert {kind.group for kind in CRDS} == {
        "serving.knative.dev", "networking.internal.knative.dev", "hearth.dev",
    }  # fmt: skip


@pytest.mark.parametrize("kind", CRDS, ids=str)
def test_every_schema_is_structural(kind):
    for node in nodes(schema(kind)):
        assert "$ref" not in node
        is_open = node.get("x-kubernetes-preserve-unknown-fields") or node.get(
            "x-kubernetes-int-or-string"
        )
        assert node.get("type") or is_open


def test_names_are_what_kubectl_and_kn_ask_for():
    names = CRDS[SERVICE]["spec"]["names"]
    assert names["shortNames"] == ["kservice", "ksvc"]
    assert {"all", "knative"} <= set(names["categories"])


def test_columns_are_paths_into_the_object():
    columns = {
        one["name"]: one["jsonPath"] for one in version(REVISION)["additionalPrinterColumns"]
    }
    assert columns["Ready"] == ".status.conditions[?(@.type=='Ready')].status"
    label = r".metadata.labels['serving\.knative\.dev/configuration']"
    assert columns["Config Name"] == label
    assert "Age" not in columns  # Knative's have none
    assert version(POD_POOL)["additionalPrinterColumns"][-1]["name"] == "Age"


def test_a_quantity_is_a_number_or_a_string():
    spec = schema(SERVICE, "spec", "template", "spec", "containers", "[]", "resources", "limits")
    assert spec["additionalProperties"] == {"x-kubernetes-int-or-string": True}


def test_what_never_changes_of_our_own_kinds_is_said_in_the_schema():
    assert schema(POOLED_REPLICA_SET, "spec")["required"] == ["template", "selector"]
    [rule] = schema(POOLED_REPLICA_SET, "spec", "selector")["x-kubernetes-validations"]
    assert rule["rule"] == "self == oldSelf"
    assert schema(POD_POOL, "spec", "replicas") | {"type": 0} == {
        "type": 0, "default": 0, "minimum": 0,
    }  # fmt: skip


def test_sets_have_a_scale_with_a_selector():
    scale = version(POOLED_REPLICA_SET)["subresources"]["scale"]
    assert scale["labelSelectorPath"] == ".status.selector"
    assert "scale" not in version(SERVICE)["subresources"]
