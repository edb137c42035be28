"""May they? By the roles that are stored; ``system:masters`` may do everything."""

from __future__ import annotations

from collections.abc import AsyncIterator

from hearth.api.errors import Forbidden
from hearth.api.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING, Kind
from hearth.api.meta import ObjectKey, Wire
from hearth.api.selectors import selector_of
from hearth.apiserver.auth import MASTERS, User
from hearth.apiserver.codec import decode
from hearth.apiserver.core.paths import Target
from hearth.apiserver.core.rbac import AUTHENTICATED, Attributes, binds, covers, rule_allows
from hearth.apiserver.objects import Objects
from hearth.store.core.keys import object_key, resource_prefix

#: What everyone who is known may do: ask about themselves, and look at what the API is.
_SELF = {
    "authorization.k8s.io": ("selfsubjectaccessreviews", "selfsubjectrulesreviews"),
    "authentication.k8s.io": ("selfsubjectreviews",),
}
_DISCOVERY: Wire = {
    "verbs": ["get"],
    "nonResourceURLs": ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", "/version",
                        "/healthz", "/readyz", "/livez", "/version/"],
}  # fmt: skip
_BASIC: list[Wire] = [
    *({"verbs": ["create"], "apiGroups": [g], "resources": [*r]} for g, r in _SELF.items()),
    _DISCOVERY,
]
_EVERYTHING: list[Wire] = [
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
]


ROLES_AND_BINDINGS = (ROLE, ROLE_BINDING, CLUSTER_ROLE, CLUSTER_ROLE_BINDING)


class Authorizer:
    """Reads roles and bindings of each tenant as they are now."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def check(self, user: User, tenant: str, wanted: Attributes) -> None:
        """Let the user do it; raises ``Forbidden`` otherwise."""
        if MASTERS in user.groups or await self.allows(user, tenant, wanted):
            return
        details = {"name": wanted.name, "group": wanted.group, "kind": wanted.resource}
        raise Forbidden(wanted.forbidden(user.name), details=details)

    async def allows(self, user: User, tenant: str, wanted: Attributes) -> bool:
        """Whether the user may do it."""
        async for rule in self._rules(user, tenant, wanted.namespace):
            if rule_allows(rule, wanted):
                return True
        return False

    async def check_grant(self, user: User, target: Target, wire: Wire) -> None:
        """Let the user write a role or binding that gives nothing the user does not have.

        Who may ``escalate`` the role, or ``bind`` the one that a binding gives, may do so anyway.

        Raises:
            Forbidden: names what is not the user's to give.
        """
        if MASTERS in user.groups:
            return
        kind, namespace, rules = target.resource.kind, target.namespace, wire.get("rules") or []
        ref = wire.get("roleRef") or {}
        plural, name = kind.plural, str(wire["metadata"].get("name"))
        wanted = Attributes("escalate", kind.group, plural, namespace=namespace, name=name)
        if ref:
            rules = await self._of_role(target.tenant, namespace, ref)
            role = ROLE if ref.get("kind") == "Role" else CLUSTER_ROLE
            given = str(ref.get("name"))
            wanted = Attributes("bind", kind.group, role.plural, namespace=namespace, name=given)
        if await self.allows(user, target.tenant, wanted):
            return
        own = await self.rules(user, target.tenant, namespace)
        missing = [rule for rule in rules if not covers(own, rule)]
        if missing:
            raise Forbidden(
                f'{kind} "{name}" is forbidden: user "{user.name}" is attempting to grant RBAC '
                f"permissions not currently held: {'; '.join(map(str, missing))}",
                details={"name": name, "group": kind.group, "kind": plural},
            )

    async def rules(self, user: User, tenant: str, namespace: str) -> list[Wire]:
        """All rules that are the user's in the namespace."""
        return [rule async for rule in self._rules(user, tenant, namespace)]

    async def _rules(self, user: User, tenant: str, namespace: str) -> AsyncIterator[Wire]:
        if MASTERS in user.groups:
            for rule in _EVERYTHING:
                yield rule
            return
        groups = {*user.groups, AUTHENTICATED}
        for rule in _BASIC:
            yield rule
        kinds = [(CLUSTER_ROLE_BINDING, ""), *([(ROLE_BINDING, namespace)] if namespace else [])]
        for kind, where in kinds:
            for binding in await self._all(kind, tenant, where):
                if binds(binding, user.name, groups, where):
                    for rule in await self._of_role(tenant, where, binding.get("roleRef") or {}):
                        yield rule

    async def _of_role(self, tenant: str, namespace: str, ref: Wire) -> list[Wire]:
        kind = ROLE if ref.get("kind") == "Role" else CLUSTER_ROLE
        where = namespace if kind is ROLE else ""
        key = object_key(kind, ObjectKey(tenant, where, str(ref.get("name"))))
        entry = self._objects.backend.get(key)
        if entry is None:
            return []
        role = decode(entry)
        rules = [*(role.get("rules") or ())]
        selectors = (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()
        for selector in map(selector_of, selectors):
            for other in await self._all(CLUSTER_ROLE, tenant, ""):
                if selector.matches((other["metadata"].get("labels")) or {}):
                    rules += other.get("rules") or ()
        return rules

    async def _all(self, kind: Kind, tenant: str, namespace: str) -> list[Wire]:
        entries, _ = await self._objects.backend.scan(resource_prefix(kind, tenant, namespace))
        return [decode(entry) for _, entry in entries]
