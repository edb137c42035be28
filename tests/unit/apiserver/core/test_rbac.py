"""Roles allow what Kubernetes' roles allow."""

from __future__ import annotations

import pytest

from hearth.apiserver.core.rbac import (
    Attributes,
    account_groups,
    account_name,
    binds,
    covers,
    groups_of,
    rule_allows,
)


def rule(verbs, groups=("",), resources=("pods",), **more):
    return {"verbs": [*verbs], "apiGroups": [*groups], "resources": [*resources], **more}


GET = Attributes("get", "", "pods", "", "default", "a")
EXEC = Attributes("create", "", "pods", "exec", "default", "a")


@pytest.mark.parametrize(
    ("allowed", "wanted", "want"),
    [
        pytest.param(rule(["get"]), GET, True, id="plain"),
        pytest.param(rule(["list"]), GET, False, id="another-verb"),
        pytest.param(rule("*", "*", "*"), GET, True, id="stars"),
        pytest.param(rule(["get"], ["apps"]), GET, False, id="another-group"),
        pytest.param(rule(["get"], resources=["nodes"]), GET, False, id="another-resource"),
        pytest.param(rule(["create"]), EXEC, False, id="subresource-is-not-the-resource"),
        pytest.param(rule(["create"], resources=["pods/exec"]), EXEC, True, id="subresource"),
        pytest.param(rule(["create"], resources=["*/exec"]), EXEC, True, id="of-all"),
        pytest.param(rule(["get"], resourceNames=["a"]), GET, True, id="that-name"),
        pytest.param(rule(["get"], resourceNames=["b"]), GET, False, id="another-name"),
        pytest.param({"verbs": ["get"], "nonResourceURLs": ["/a/*"]},
                     Attributes("get", path="/a/b"), True, id="path"),
        pytest.param({"verbs": ["get"], "nonResourceURLs": ["/a"]},
                     Attributes("get", path="/a/b"), False, id="another-path"),
        pytest.param(rule(["get"]), Attributes("get", path="/a"), False, id="rule-of-resources"),
    ],
)  # fmt: skip
def test_rules(allowed, wanted, want):
    assert rule_allows(allowed, wanted) is want


@pytest.mark.parametrize(
    ("subject", "want"),
    [
        pytest.param({"kind": "User", "name": "anna"}, True, id="user"),
        pytest.param({"kind": "User", "name": "bert"}, False, id="another"),
        pytest.param({"kind": "Group", "name": "dev"}, True, id="group"),
        pytest.param({"kind": "Group", "name": "ops"}, False, id="another-group"),
        pytest.param({"kind": "Robot", "name": "anna"}, False, id="kind"),
        pytest.param({"kind": "ServiceAccount", "name": "anna"}, False, id="account"),
    ],
)
def test_subjects(subject, want):
    assert binds({"subjects": [subject]}, "anna", {"dev"}, "default") is want


def test_service_accounts_are_of_a_namespace():
    user = account_name("default", "robot")
    subject = {"kind": "ServiceAccount", "name": "robot"}
    assert binds({"subjects": [subject]}, user, (), "default")
    assert not binds({"subjects": [subject]}, user, (), "other")
    assert binds({"subjects": [{**subject, "namespace": "default"}]}, user, (), "other")
    assert "system:serviceaccounts:default" in account_groups("default")
    assert not binds({}, user, (), "default")
    assert groups_of(user) == account_groups("default")
    assert groups_of("anna") == {"system:authenticated"}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        pytest.param(
            Attributes("list", "", "pods", "", "default"),
            'pods is forbidden: User "anna" cannot list resource "pods" in API group "" in the '
            'namespace "default"', id="list",
        ),
        pytest.param(
            Attributes("get", "serving.knative.dev", "services", "", "default", "hello"),
            'services.serving.knative.dev "hello" is forbidden: User "anna" cannot get resource '
            '"services" in API group "serving.knative.dev" in the namespace "default"', id="named",
        ),
        pytest.param(
            Attributes("list", "", "nodes"),
            'nodes is forbidden: User "anna" cannot list resource "nodes" in API group "" at the '
            "cluster scope", id="cluster",
        ),
        pytest.param(
            Attributes("get", "", "pods", "log", "default", "a"),
            'pods "a" is forbidden: User "anna" cannot get resource "pods/log" in API group "" in '
            'the namespace "default"', id="subresource",
        ),
        pytest.param(
            Attributes("get", path="/metrics"),
            'forbidden: User "anna" cannot get path "/metrics"', id="path",
        ),
    ],
)  # fmt: skip
def test_a_refusal_says_what_kubernetes_says(wanted, said):
    assert wanted.forbidden("anna") == said


@pytest.mark.parametrize(
    ("given", "want"),
    [
        pytest.param(rule(["get"]), True, id="held"),
        pytest.param(rule(["get", "delete"]), False, id="another-verb"),
        pytest.param(rule("*"), False, id="any-verb"),
        pytest.param(rule(["get"], resources=["*"]), False, id="any-resource"),
        pytest.param(rule(["get"], resources=["pods/log"]), False, id="subresource"),
        pytest.param(rule(["get"], resourceNames=["a"]), True, id="one-of-all"),
        pytest.param({"verbs": ["get"], "nonResourceURLs": ["/api"]}, True, id="path"),
        pytest.param({"verbs": ["get"], "nonResourceURLs": ["*"]}, False, id="any-path"),
        pytest.param({}, True, id="nothing"),
    ],
)  # fmt: skip
def test_only_what_one_has_can_be_given(given, want):
    own = [rule(["get", "list"]), {"verbs": ["get"], "nonResourceURLs": ["/api"]}]
    assert covers(own, given) is want
    assert covers([rule("*", "*", "*"), {"verbs": ["*"], "nonResourceURLs": ["*"]}], given)
    assert covers([rule(["get"], resourceNames=["b"])], rule(["get"])) is False
