"""Who may do what: roles, and the questions one can ask about them.

Source: k8s.io/api/rbac/v1, k8s.io/api/authorization/v1, k8s.io/api/authentication/v1; the roles
that are there from the start follow Kubernetes' bootstrap policy.
"""

from __future__ import annotations

from hearth.api.core import Object
from hearth.api.errors import FieldError
from hearth.api.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    LOCAL_SUBJECT_ACCESS_REVIEW,
    ROLE,
    ROLE_BINDING,
    SELF_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_REVIEW,
    SELF_SUBJECT_RULES_REVIEW,
    SUBJECT_ACCESS_REVIEW,
    TOKEN_REVIEW,
    Kind,
)
from hearth.api.meta import Wire
from hearth.api.podspec import FreeForm
from hearth.api.registry import Column, Resource
from hearth.api.views import View

_READ = ["get", "list", "watch"]
_ALL_VERBS = [*_READ, "create", "update", "patch", "delete", "deletecollection"]
_APP_GROUPS = ["serving.knative.dev", "networking.internal.knative.dev",
               "autoscaling.internal.knative.dev"]  # fmt: skip
_APP_RESOURCES = [
    "configmaps", "endpoints", "events", "persistentvolumeclaims", "pods", "pods/log",
    "pods/status", "resourcequotas", "limitranges", "serviceaccounts", "services", "namespaces",
]  # fmt: skip


class PolicyRule(View, frozen=True):
    """What may be done."""

    verbs: list[str] | None = None
    api_groups: list[str] | None = None
    resources: list[str] | None = None
    resource_names: list[str] | None = None
    non_resource_urls: list[str] | None = None


class Role(Object, frozen=True):
    """Rules of one namespace."""

    rules: list[PolicyRule] | None = None


class ClusterRole(Object, frozen=True):
    """Rules of all namespaces, or of what is in none."""

    rules: list[PolicyRule] | None = None
    aggregation_rule: FreeForm | None = None


class Subject(View, frozen=True):
    """Whom a binding is about."""

    kind: str | None = None
    api_group: str | None = None
    name: str | None = None
    namespace: str | None = None


class RoleRef(View, frozen=True):
    """Which role a binding gives."""

    api_group: str | None = None
    kind: str | None = None
    name: str | None = None


class Binding(Object, frozen=True):
    """Gives a role to subjects."""

    subjects: list[Subject] | None = None
    role_ref: RoleRef | None = None


class Review(Object, frozen=True):
    """A question, and its answer in the status."""

    spec: FreeForm | None = None
    status: FreeForm | None = None


def _default_binding(wire: Wire, old: Wire | None = None) -> Wire:
    group = "rbac.authorization.k8s.io"
    subjects = [
        {"apiGroup": "" if one.get("kind") == "ServiceAccount" else group, **one}
        for one in wire.get("subjects") or ()
    ]
    subjects = [{k: v for k, v in one.items() if v != ""} for one in subjects]
    filled = {**wire, "roleRef": {"apiGroup": group, **(wire.get("roleRef") or {})}}
    return {**filled, **({"subjects": subjects} if subjects else {})}


def _binding(wire: Wire, old: Wire | None) -> list[FieldError]:
    ref, errors = wire.get("roleRef") or {}, []
    if not ref.get("name"):
        errors.append(FieldError("roleRef.name", "Required value", "FieldValueRequired"))
    if ref.get("kind") not in ("Role", "ClusterRole"):
        said = f'Unsupported value: "{ref.get("kind")}": supported values: "ClusterRole", "Role"'
        errors.append(FieldError("roleRef.kind", said, "FieldValueNotSupported"))
    if old is not None and old.get("roleRef") != ref:
        errors.append(FieldError("roleRef", "Invalid value: cannot change roleRef"))
    for number, one in enumerate(wire.get("subjects") or ()):
        path = f"subjects[{number}]"
        if one.get("kind") == "ServiceAccount" and not one.get("namespace"):
            errors.append(FieldError(f"{path}.namespace", "Required value", "FieldValueRequired"))
        if not one.get("name"):
            errors.append(FieldError(f"{path}.name", "Required value", "FieldValueRequired"))
    return errors


def _rules(wire: Wire, old: Wire | None) -> list[FieldError]:
    return [
        FieldError(f"rules[{number}].verbs", "Required value: verbs must contain at least one "
                   "value", "FieldValueRequired")
        for number, rule in enumerate(wire.get("rules") or ())
        if not rule.get("verbs")
    ]  # fmt: skip


def bootstrap_roles() -> list[Wire]:
    """``cluster-admin``, ``admin``, ``edit`` and ``view``."""
    apps = [{"apiGroups": _APP_GROUPS, "resources": ["*"]}]
    view = [
        {"apiGroups": [""], "resources": _APP_RESOURCES, "verbs": _READ},
        *({**rule, "verbs": _READ} for rule in apps),
        {"apiGroups": ["apps", "autoscaling", "discovery.k8s.io", "metrics.k8s.io"],
         "resources": ["*"], "verbs": _READ},
    ]  # fmt: skip
    edit = [
        *view,
        {"apiGroups": [""], "verbs": _ALL_VERBS,
         "resources": ["configmaps", "secrets", "serviceaccounts", "services", "endpoints",
                       "persistentvolumeclaims", "pods", "pods/exec", "pods/attach",
                       "pods/portforward", "serviceaccounts/token"]},
        *({**rule, "verbs": _ALL_VERBS} for rule in apps),
        {"apiGroups": ["hearth.dev"], "resources": ["packages"], "verbs": ["get", "create"]},
    ]  # fmt: skip
    admin = [
        *edit,
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"],
         "verbs": _ALL_VERBS},
    ]  # fmt: skip
    everything = [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ]
    rules = {"cluster-admin": everything, "admin": admin, "edit": edit, "view": view}
    return [{"metadata": {"name": name}, "rules": each} for name, each in rules.items()]


def _role_of(wire: Wire) -> str:
    ref = wire.get("roleRef") or {}
    return f"{ref.get('kind')}/{ref.get('name')}"


def _question(kind: Kind) -> Resource:
    return Resource(kind, Review, kind.kind.lower(), posted=True)


_ROLE_COLUMN = (Column("Role", _role_of),)
RESOURCES = (
    Resource(ROLE, Role, "role", validate=_rules, name_pattern="path-segment"),
    Resource(CLUSTER_ROLE, ClusterRole, "clusterrole", validate=_rules,
             name_pattern="path-segment"),
    Resource(ROLE_BINDING, Binding, "rolebinding", columns=_ROLE_COLUMN,
             default=_default_binding, validate=_binding, name_pattern="path-segment"),
    Resource(CLUSTER_ROLE_BINDING, Binding, "clusterrolebinding", columns=_ROLE_COLUMN,
             default=_default_binding, validate=_binding, name_pattern="path-segment"),
    _question(TOKEN_REVIEW), _question(SELF_SUBJECT_REVIEW), _question(SUBJECT_ACCESS_REVIEW),
    _question(LOCAL_SUBJECT_ACCESS_REVIEW), _question(SELF_SUBJECT_ACCESS_REVIEW),
    _question(SELF_SUBJECT_RULES_REVIEW),
)  # fmt: skip
