"""What a request's path names.

``[/clusters/TENANT] /api/v1 | /apis/GROUP/VERSION  [/namespaces/NS] / RESOURCE [/ NAME [/ SUB]]``.
"""

from __future__ import annotations

from dataclasses import dataclass

from hearth.api.errors import NoSuchPath
from hearth.api.meta import ROOT, ObjectKey
from hearth.api.registry import Resource
from hearth.api.resources import resource_for

#: In place of a tenant: all of them (kcp uses the same form).
ALL_TENANTS = "*"


@dataclass(frozen=True, slots=True)
class Target:
    """A resource, or one object, or a subresource of one."""

    tenant: str
    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def key(self) -> ObjectKey:
        """The object's key."""
        return ObjectKey(self.tenant, self.namespace, self.name)

    @property
    def whole(self) -> Target:
        """The object whose subresource this is."""
        return Target(self.tenant, self.resource, self.namespace, self.name)


def split_tenant(path: str) -> tuple[str, str]:
    """The tenant of a path, and the path below it."""
    if not path.startswith("/clusters/"):
        return ROOT, path
    tenant, _, rest = path.removeprefix("/clusters/").partition("/")
    return tenant, f"/{rest}"


def parse_target(tenant: str, path: str) -> Target:
    """Parse the path of a resource below a tenant's root.

    Raises:
        NoSuchPath: no such resource.
    """
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise NoSuchPath
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 3 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    resource = resource_for(group, version, rest[0])
    if resource is None or len(rest) > 3 or (namespace and not resource.kind.namespaced):
        raise NoSuchPath
    name, subresource = [*rest[1:], "", ""][:2]
    if name and resource.kind.namespaced and not namespace:
        raise NoSuchPath
    return Target(tenant, resource, namespace, name, subresource)
