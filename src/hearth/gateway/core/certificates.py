"""Which host has its certificate in which Secret, and whether that one can be served.

A DomainMapping may name a Secret; a Certificate names the one that it is kept in. What cannot be
used never replaces what is served: the controllers say in a condition what is wrong with it.
"""

from __future__ import annotations

from datetime import datetime

from hearth.api.meta import (
    ObjectKey,
    Wire,
    is_condition_true,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    spec_of,
    status_of,
)
from hearth.api.names import CERTIFICATE_TYPE_LABEL, CLUSTER_LOCAL_DOMAIN, SYSTEM_INTERNAL
from hearth.api.networking import is_of_another_namespace
from hearth.kit.x509 import Facts

CHALLENGE_PATH = "/.well-known/acme-challenge/"


def secrets_of_mapping(mapping: Wire, tenant: str) -> dict[str, ObjectKey]:
    """The Secret that a DomainMapping names, by its host; nothing while it has no claim."""
    name = (spec_of(mapping).get("tls") or {}).get("secretName")
    if not name or is_deleting(mapping) or not is_condition_true(mapping, "DomainClaimed"):
        return {}
    return {name_of(mapping): ObjectKey(tenant, namespace_of(mapping), str(name))}


def secrets_of_certificate(certificate: Wire, tenant: str) -> dict[str, ObjectKey]:
    """The Secret that a Certificate is kept in, by each of its hosts."""
    spec = spec_of(certificate)
    if not spec.get("secretName") or is_deleting(certificate):
        return {}
    if labels_of(certificate).get(CERTIFICATE_TYPE_LABEL) == SYSTEM_INTERNAL:
        return {}  # of instances
    namespace = namespace_of(certificate)
    key = ObjectKey(tenant, namespace, str(spec["secretName"]))
    hosts = (str(host) for host in spec.get("dnsNames") or ())
    return {host: key for host in hosts if not is_of_another_namespace(host, namespace)}


def precedence(wire: Wire) -> tuple[bool, str, str]:
    """Sorts those for the same host, the one to be served first.

    ``example.com`` may be a host outside, and inside service ``example`` of namespace ``com``.
    """
    inside = labels_of(wire).get(CERTIFICATE_TYPE_LABEL) == CLUSTER_LOCAL_DOMAIN
    return inside, namespace_of(wire), name_of(wire)


def challenges_of(certificate: Wire, host: str) -> tuple[tuple[str, str], ...]:
    """What must be answered on the host for the certificate: path and body."""
    prefix = f"http://{host}/"
    found = []
    for challenge in status_of(certificate).get("http01Challenges") or ():
        url, body = str(challenge.get("url") or ""), challenge.get("keyAuthorization")
        if body and url.startswith(prefix):
            found.append((f"/{url.removeprefix(prefix)}", str(body)))
    return tuple(sorted(found))


def may_serve(facts: Facts, host: str, now: datetime, *, has_other: bool) -> bool:
    """Whether to serve it: not for another host, and once expired only if there is no other."""
    if not facts.covers(host):
        return False
    return facts.not_after > now or not has_other
