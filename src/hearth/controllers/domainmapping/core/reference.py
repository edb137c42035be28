"""From a DomainMapping's ``spec.ref`` to the Route that its host leads to.

Source: knative.dev/pkg resolver/addressable_resolver.go and knative.dev/serving
pkg/reconciler/domainmapping/reconciler.go (resolveRef).
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from hearth.api.kinds import ROUTE, SERVICE
from hearth.api.meta import Wire, namespace_of, spec_of, status_of
from hearth.api.names import CLUSTER_DOMAIN

#: Gives a Service or Route of the mapping's namespace by kind and name, or None.
Find = Callable[[str, str], Wire | None]

_PLURALS = {"Service": SERVICE.plural, "Route": ROUTE.plural}


class UnresolvedError(Exception):
    """There is no such object, or it has no address; the message is Knative's."""


def resolve(mapping: Wire, find: Find) -> str:
    """The name of the Route, which is in the mapping's own namespace.

    A plain Kubernetes Service stands for the Route of its name: Knative makes one for each.

    Raises:
        UnresolvedError: says why.
    """
    ref = spec_of(mapping).get("ref") or {}
    name, namespace = str(ref.get("name")), str(ref.get("namespace") or namespace_of(mapping))
    group, _, version = str(ref.get("apiVersion") or "").rpartition("/")
    kind = str(ref.get("kind"))
    if (group, version, kind) == ("", "v1", "Service"):
        if find("Route", name) is None:
            said = f'failed to get object {namespace}/{name}: services "{name}" not found'
            raise UnresolvedError(said)
        return name
    if group != SERVICE.group or kind not in _PLURALS:
        said = f"failed to get lister for {kind}.{version}.{group}: expected a Service or a Route"
        raise UnresolvedError(f"{said} of {SERVICE.group}, or a Service of v1")
    found = find(kind, name)
    if found is None:
        resource = f"{_PLURALS[kind]}.{group}"
        said = f'failed to get object {namespace}/{name}: {resource} "{name}" not found'
        raise UnresolvedError(said)
    return _target(found, _described(ref, namespace), namespace)


def _target(found: Wire, described: str, namespace: str) -> str:
    url = (status_of(found).get("address") or {}).get("url")
    if not url:
        raise UnresolvedError(f"address not set for {described}")
    host = urlsplit(url).hostname or ""
    parts = host.removesuffix(f".{CLUSTER_DOMAIN}").split(".")
    if not host.endswith(f".{CLUSTER_DOMAIN}") or len(parts) != 2:
        said = f'resolved URI "{url}" must be of the form {{name}}.{{namespace}}.{CLUSTER_DOMAIN}'
        raise UnresolvedError(said)
    if parts[1] != namespace:
        said = f'resolved URI "{url}" must be in same namespace as DomainMapping'
        raise UnresolvedError(said)
    return parts[0]


def _described(ref: Wire, namespace: str) -> str:
    fields = {
        "Kind": ref.get("kind"),
        "Namespace": namespace,
        "Name": ref.get("name"),
        "APIVersion": ref.get("apiVersion"),
        "Group": "",
        "Address": ref.get("address") or "",
    }
    return ", ".join(f"{name} = {value}" for name, value in fields.items())
