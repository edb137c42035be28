"""Keys put every tenant, resource and namespace under a prefix of its own."""

from __future__ import annotations

import pytest

from hearth.api.kinds import NAMESPACE, POD, SERVICE
from hearth.api.meta import ObjectKey
from hearth.store.core.keys import object_key, parse_key, resource_prefix


@pytest.mark.parametrize(
    ("kind", "key", "want"),
    [
        pytest.param(
            POD, ObjectKey("root", "default", "a"), "/registry/root/core/pods/default/a", id="core"
        ),
        pytest.param(
            SERVICE,
            ObjectKey("acme", "shop", "web"),
            "/registry/acme/serving.knative.dev/services/shop/web",
            id="group",
        ),
        pytest.param(
            NAMESPACE,
            ObjectKey("root", "", "shop"),
            "/registry/root/core/namespaces/-/shop",
            id="cluster-scoped",
        ),
    ],
)
def test_a_key_says_whose_what_where_and_reads_back(kind, key, want):
    assert object_key(kind, key) == want
    assert parse_key(want) == (kind.group, kind.plural, key)


def test_a_prefix_selects_one_tenant_one_resource_one_namespace():
    assert resource_prefix(POD, "root") == "/registry/root/core/pods/"
    assert resource_prefix(POD, "root", "a") == "/registry/root/core/pods/a/"
    assert not object_key(POD, ObjectKey("root", "ab", "x")).startswith(
        resource_prefix(POD, "root", "a")
    )
