"""Who may do what: a role for each part, with what it calls and no more.

Writes outside ``hearth-system`` are to our own kinds, and to what an app consists of: pods, the
core Services of its names, Secrets with certificates, events.
"""

from __future__ import annotations

from collections.abc import Sequence

from hearth.api.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    MUTATING_WEBHOOKS,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    Kind,
)
from hearth.api.meta import Wire
from hearth.api.names import (
    CONTROLLER_ACCOUNT,
    GATEWAY_ACCOUNT,
    KNATIVE_NAMESPACE,
    SYSTEM_NAMESPACE,
    WEBHOOK_CONFIGURATION,
)
from hearth.install.objects import make

_READ = ("get", "list", "watch")
_WRITE = ("create", "update", "patch", "delete")
_SERVING = "serving.knative.dev"
_NETWORKING = "networking.internal.knative.dev"
_SERVING_KINDS = ("services", "configurations", "revisions", "routes", "domainmappings")
_RBAC = "rbac.authorization.k8s.io"


def _rule(group: str, resources: Sequence[str], verbs: Sequence[str], *names: str) -> Wire:
    rule = {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}
    return {**rule, "resourceNames": list(names)} if names else rule


def _controller() -> list[Wire]:
    parts = [f"{kind}/{part}" for kind in _SERVING_KINDS for part in ("status", "finalizers")]
    sets = ("pooledreplicasets", "podpools")
    return [
        _rule(_SERVING, _SERVING_KINDS, (*_READ, *_WRITE)),
        _rule(_SERVING, parts, ("update", "patch")),
        _rule(_NETWORKING, ("certificates", "clusterdomainclaims"), (*_READ, *_WRITE)),
        _rule(_NETWORKING, ("certificates/status",), ("update", "patch")),
        _rule("hearth.dev", sets, (*_READ, *_WRITE)),
        _rule(
            "hearth.dev",
            [f"{kind}/{part}" for kind in sets for part in ("status", "scale", "finalizers")],
            ("update", "patch"),
        ),
        _rule("", ("pods",), (*_READ, "create", "patch", "delete")),
        _rule("", ("services",), (*_READ, *_WRITE)),
        _rule("", ("secrets", "configmaps"), (*_READ, *_WRITE)),  # certificates, and whom to trust
        _rule("", ("events",), ("create", "patch")),
        _rule("", ("namespaces", "nodes", "resourcequotas", "limitranges"), _READ),
        _rule("metrics.k8s.io", ("pods",), ("list",)),
        _rule("autoscaling", ("horizontalpodautoscalers",), ("get", "create", "patch", "delete")),
        _rule("autoscaling", ("horizontalpodautoscalers/status",), ("patch",)),
        _rule(
            MUTATING_WEBHOOKS.group,
            ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"),
            ("get", "patch"),
            WEBHOOK_CONFIGURATION,
        ),
    ]


def _gateway() -> list[Wire]:
    return [
        _rule(_SERVING, ("routes", "revisions", "domainmappings"), _READ),
        _rule(_NETWORKING, ("certificates",), _READ),
        _rule("", ("pods",), _READ),
        _rule("", ("secrets",), _READ),  # those with certificates, wherever they are
    ]


_LEASES = [_rule("coordination.k8s.io", ("leases",), (*_READ, "create", "patch", "update"))]
_CONFIG = [_rule("", ("configmaps",), _READ)]


def make_rbac() -> list[Wire]:
    """Accounts, roles and bindings."""
    found = []
    for account, rules in ((CONTROLLER_ACCOUNT, _controller()), (GATEWAY_ACCOUNT, _gateway())):
        found += [
            make(SERVICE_ACCOUNT, account, SYSTEM_NAMESPACE),
            make(CLUSTER_ROLE, account, rules=rules),
            _binding(CLUSTER_ROLE_BINDING, CLUSTER_ROLE, account, account),
            make(ROLE, account, SYSTEM_NAMESPACE, rules=[*_LEASES, *_CONFIG]),
            _binding(ROLE_BINDING, ROLE, account, account, namespace=SYSTEM_NAMESPACE),
            make(ROLE, account, KNATIVE_NAMESPACE, rules=_CONFIG),
            _binding(ROLE_BINDING, ROLE, account, account, namespace=KNATIVE_NAMESPACE),
        ]
    return [*found, *_for_users()]


def _binding(kind: Kind, role: Kind, name: str, account: str, namespace: str = "") -> Wire:
    subject = {"kind": "ServiceAccount", "name": account, "namespace": SYSTEM_NAMESPACE}
    ref = {"apiGroup": _RBAC, "kind": role.kind, "name": name}
    return make(kind, name, namespace, roleRef=ref, subjects=[subject])


def _for_users() -> list[Wire]:
    """Whoever may edit or view a namespace may edit or view its apps."""
    groups = [_SERVING, _NETWORKING, "hearth.dev"]
    rules = {
        "edit": [{"apiGroups": [_SERVING], "resources": ["*"], "verbs": ["*"]}],
        "view": [{"apiGroups": groups, "resources": ["*"], "verbs": list(_READ)}],
    }
    aggregated = {
        "edit": {f"{_RBAC}/aggregate-to-admin": "true", f"{_RBAC}/aggregate-to-edit": "true"},
        "view": {f"{_RBAC}/aggregate-to-view": "true"},
    }
    return [
        make(CLUSTER_ROLE, f"hearth-{name}", labels=aggregated[name], rules=rules[name])
        for name in rules
    ]
