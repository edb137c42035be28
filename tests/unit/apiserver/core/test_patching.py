"""Patches by media type, and which of them a resource takes."""

from __future__ import annotations

import pytest

from hearth.api.errors import BadRequest, Invalid, UnsupportedMediaType
from hearth.api.resources import resource_for
from hearth.apiserver.core.patching import (
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_PATCH,
    check_patch_type,
    names_version,
    patch_types,
    patched,
)

PODS = resource_for("", "v1", "pods")
LEASES = resource_for("coordination.k8s.io", "v1", "leases")
SERVICES = resource_for("serving.knative.dev", "v1", "services")
WIRE = {"spec": {"n": 1, "containers": [{"name": "a", "image": "1"}]}}
IMAGE = {"spec": {"containers": [{"name": "a", "image": "2"}]}}


@pytest.mark.parametrize("resource", [PODS, LEASES], ids=["core", "k8s.io"])
def test_kubernetes_own_kinds_take_strategic_patches(resource):
    assert STRATEGIC_PATCH in patch_types(resource)
    check_patch_type(resource, STRATEGIC_PATCH)


@pytest.mark.parametrize("media", [STRATEGIC_PATCH, "application/json", ""])
def test_custom_resources_say_which_patches_they_take(media):
    with pytest.raises(UnsupportedMediaType, match="accepted media types include: application"):
        check_patch_type(SERVICES, media)


@pytest.mark.parametrize(
    ("patch", "media", "want"),
    [
        pytest.param(
            [{"op": "replace", "path": "/spec/n", "value": 2}], JSON_PATCH,
            {"spec": {"n": 2, "containers": [{"name": "a", "image": "1"}]}}, id="json",
        ),
        pytest.param(
            {"spec": {"n": None}}, MERGE_PATCH,
            {"spec": {"containers": [{"name": "a", "image": "1"}]}}, id="merge-removes",
        ),
        pytest.param(IMAGE, STRATEGIC_PATCH, {"spec": {"n": 1, **IMAGE["spec"]}}, id="strategic"),
    ],
)  # fmt: skip
def test_a_patch_is_applied_by_its_kind(patch, media, want):
    assert patched(WIRE, patch, media) == want
    assert WIRE["spec"]["n"] == 1


@pytest.mark.parametrize(
    ("patch", "media", "error"),
    [
        pytest.param([], MERGE_PATCH, BadRequest, id="merge-needs-an-object"),
        pytest.param({}, JSON_PATCH, BadRequest, id="json-needs-a-list"),
        pytest.param([{"op": "remove", "path": "/x"}], JSON_PATCH, Invalid, id="no-such-path"),
    ],
)
def test_a_patch_of_another_form_is_refused(patch, media, error):
    with pytest.raises(error):
        patched(WIRE, patch, media)


@pytest.mark.parametrize(
    ("patch", "want"),
    [
        pytest.param({"metadata": {"resourceVersion": "1"}}, True, id="merge"),
        pytest.param({"metadata": {"labels": {}}}, False, id="merge-without"),
        pytest.param([{"op": "test", "path": "/metadata/resourceVersion"}], True, id="json"),
        pytest.param([{"op": "add", "path": "/metadata/labels"}], False, id="json-without"),
        pytest.param({"metadata": None}, False, id="nothing"),
        pytest.param("text", False, id="not-a-patch"),
    ],
)
def test_whether_a_patch_insists_on_a_version(patch, want):
    assert names_version(patch) is want
