"""The Certificates of a Route: one for each host that is reached from outside.

Source: knative.dev/serving pkg/reconciler/route/resources/certificate.go.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from hearth.api.meta import Wire, name_of, uid_of
from hearth.api.names import ROUTE_LABEL
from hearth.controllers.core.tls import make_certificate, wants_certificates
from hearth.controllers.route.core.domains import BadHostError, Domain


def route_certificates(route: Wire, tags: Iterable[str], domain: Domain) -> list[Wire]:
    """Those that the Route wants; none where TLS is not enabled for it."""
    if not wants_certificates(route, domain.network) or domain.is_local(route):
        return []
    try:
        hosts = {tag: domain.host(route, tag) for tag in sorted({"", *tags})}
    except BadHostError:  # the status says so
        return []
    label = (ROUTE_LABEL, name_of(route))
    base = domain.base(route)
    return [
        make_certificate(route, label, _name(route, tag), host, base, domain.network)
        for tag, host in hosts.items()
    ]


def _name(route: Wire, tag: str) -> str:
    return f"route-{uid_of(route)}" + (f"-{zlib.adler32(tag.encode())}" if tag else "")
