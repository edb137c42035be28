"""Where an object is in the store: ``/registry/<tenant>/<group>/<resource>/<namespace>/<name>``.

The core group is written ``core``; cluster-scoped objects have ``-`` for a namespace. Neither is a
legal namespace or group, so no two objects share a key, and a prefix selects a tenant, a resource
or a namespace.
"""

from __future__ import annotations

from hearth.api.kinds import Kind
from hearth.api.meta import ObjectKey

ROOT_PREFIX = "/registry/"


def object_key(kind: Kind, key: ObjectKey) -> str:
    """The store key of one object."""
    return f"{resource_prefix(kind, key.tenant)}{key.namespace or '-'}/{key.name}"


def tenant_prefix(tenant: str) -> str:
    """The prefix of all objects of a tenant."""
    return f"{ROOT_PREFIX}{tenant}/"


def resource_prefix(kind: Kind, tenant: str, namespace: str = "") -> str:
    """The prefix of all objects of a kind in a tenant, or in one of its namespaces."""
    prefix = f"{tenant_prefix(tenant)}{kind.group or 'core'}/{kind.plural}/"
    return f"{prefix}{namespace}/" if namespace else prefix


def parse_key(key: str) -> tuple[str, str, ObjectKey]:
    """Group, resource and object key of a store key."""
    tenant, group, resource, namespace, name = key.removeprefix(ROOT_PREFIX).split("/")
    own = ObjectKey(tenant, "" if namespace == "-" else namespace, name)
    return ("" if group == "core" else group), resource, own
