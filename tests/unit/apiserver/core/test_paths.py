"""Paths name tenants, resources, objects and subresources."""

from __future__ import annotations

import pytest

from hearth.api.errors import NotFound
from hearth.api.meta import ObjectKey
from hearth.apiserver.core.paths import parse_target, split_tenant


@pytest.mark.parametrize(
    ("path", "want"),
    [
        pytest.param("/api/v1/pods", ("root", "/api/v1/pods"), id="bare-is-root"),
        pytest.param("/clusters/acme/api/v1/pods", ("acme", "/api/v1/pods"), id="tenant"),
        pytest.param("/clusters/*/api/v1/pods", ("*", "/api/v1/pods"), id="all"),
        pytest.param("/clusters/acme", ("acme", "/"), id="only-the-tenant"),
    ],
)
def test_the_tenant_is_in_the_path(path, want):
    assert split_tenant(path) == want


@pytest.mark.parametrize(
    ("path", "plural", "namespace", "name", "subresource"),
    [
        pytest.param("/api/v1/pods", "pods", "", "", "", id="everywhere"),
        pytest.param("/api/v1/namespaces/a/pods", "pods", "a", "", "", id="in-a-namespace"),
        pytest.param("/api/v1/namespaces/a/pods/p/log", "pods", "a", "p", "log", id="subresource"),
        pytest.param("/api/v1/namespaces", "namespaces", "", "", "", id="namespaces"),
        pytest.param("/api/v1/namespaces/a", "namespaces", "", "a", "", id="a-namespace"),
        pytest.param("/api/v1/namespaces/a/status", "namespaces", "", "a", "status", id="status"),
        pytest.param("/api/v1/nodes/n", "nodes", "", "n", "", id="cluster-scoped"),
        pytest.param(
            "/apis/serving.knative.dev/v1/namespaces/a/services/s", "services", "a", "s", "",
            id="a-group",
        ),
    ],
)  # fmt: skip
def test_a_path_names_its_target(path, plural, namespace, name, subresource):
    target = parse_target("root", path)
    assert (target.resource.kind.plural, target.namespace, target.name, target.subresource) == (
        plural, namespace, name, subresource,
    )  # fmt: skip
    assert target.key == ObjectKey("root", namespace, name)
    assert target.whole.subresource == ""


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/v1",
        "/apis/serving.knative.dev/v1",
        "/api/v2/pods",
        "/api/v1/widgets",
        "/api/v1/pods/p",
        "/api/v1/namespaces/a/nodes/n",
        "/api/v1/namespaces/a/pods/p/log/more",
        "/other",
    ],
)
def test_what_is_not_there_is_not_found(path):
    with pytest.raises(NotFound):
        parse_target("root", path)
