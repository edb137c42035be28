"""Role-based access control: pure.

Source: k8s.io/kubernetes plugin/pkg/auth/authorizer/rbac, pkg/apis/rbac/v1/evaluation_helpers.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hearth.api.meta import Wire

AUTHENTICATED = "system:authenticated"
_ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Attributes:
    """What someone wants to do."""

    verb: str
    group: str = ""
    resource: str = ""  #: plural
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""  #: of what is no resource; then the others but ``verb`` are empty

    @property
    def what(self) -> str:
        """The resource as rules name it."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    def forbidden(self, user: str) -> str:
        """The message for who may not."""
        if self.path:
            return f'forbidden: User "{user}" cannot {self.verb} path "{self.path}"'
        where = f'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        about = f'{self.resource}.{self.group} "{self.name}"' if self.group else (
            f'{self.resource} "{self.name}"'
        )  # fmt: skip
        plain = f"{self.resource}.{self.group}" if self.group else self.resource
        return (
            f'{about if self.name else plain} is forbidden: User "{user}" cannot {self.verb} '
            f'resource "{self.what}" in API group "{self.group}" {where}'
        )


def rule_allows(rule: Wire, wanted: Attributes) -> bool:
    """Whether the rule lets someone do it."""
    verbs = rule.get("verbs") or ()
    if "*" not in verbs and wanted.verb not in verbs:
        return False
    if wanted.path:
        return any(_path_matches(path, wanted.path) for path in rule.get("nonResourceURLs") or ())
    groups, resources = rule.get("apiGroups") or (), rule.get("resources") or ()
    names = rule.get("resourceNames") or ()
    below = f"*/{wanted.subresource}" if wanted.subresource else "*"
    return (
        ("*" in groups or wanted.group in groups)
        and ("*" in resources or wanted.what in resources or below in resources)
        and (not names or wanted.name in names)
    )


def _path_matches(allowed: str, path: str) -> bool:
    return allowed in ("*", path) or (allowed.endswith("*") and path.startswith(allowed[:-1]))


def covers(own: Iterable[Wire], rule: Wire) -> bool:
    """Whether everything that the rule allows is allowed by ``own`` rules."""
    own = list(own)
    verbs, names = rule.get("verbs") or (), rule.get("resourceNames") or ("",)
    wanted = [Attributes(verb, path=path) for verb in verbs
              for path in rule.get("nonResourceURLs") or ()]  # fmt: skip
    for verb in verbs:
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                plural, _, below = resource.partition("/")
                wanted += [Attributes(verb, group, plural, below, name=name) for name in names]
    return all(any(rule_allows(each, one) for each in own) for one in wanted)


def binds(binding: Wire, user: str, groups: Iterable[str], namespace: str) -> bool:
    """Whether the binding is about the user; ``namespace`` is the binding's own."""
    return any(_is(one, user, groups, namespace) for one in binding.get("subjects") or ())


def _is(subject: Wire, user: str, groups: Iterable[str], namespace: str) -> bool:
    name = subject.get("name")
    match subject.get("kind"):
        case "User":
            return bool(name == user)
        case "Group":
            return str(name) in groups
        case "ServiceAccount":
            where = subject.get("namespace") or namespace
            return user == f"{_ACCOUNT}{where}:{name}"
    return False


def account_name(namespace: str, name: str) -> str:
    """The user name of a service account."""
    return f"{_ACCOUNT}{namespace}:{name}"


def account_groups(namespace: str) -> frozenset[str]:
    """The groups of a namespace's service accounts."""
    return frozenset(
        {
            "system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED,
        }
    )  # fmt: skip


def groups_of(user: str) -> frozenset[str]:
    """The groups that a user's name tells."""
    namespace, _, name = user.removeprefix(_ACCOUNT).partition(":")
    is_account = user.startswith(_ACCOUNT) and bool(name)
    return account_groups(namespace) if is_account else frozenset({AUTHENTICATED})
