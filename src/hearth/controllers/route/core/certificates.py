"""The Certificates of a Route: one for each host outside, one for the three names of each inside.

Source: knative.dev/serving pkg/reconciler/route/resources/certificate.go.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from hearth.api.config import NetworkConfig
from hearth.api.meta import Wire, name_of
from hearth.api.names import CLUSTER_DOMAIN, CLUSTER_LOCAL_DOMAIN, EXTERNAL_DOMAIN, ROUTE_LABEL
from hearth.api.networking import route_certificate
from hearth.controllers.core.tls import Wanted, make_certificate, wants_certificates
from hearth.controllers.route.core.domains import BadHostError, Domain


def certificate_types(route: Wire, network: NetworkConfig) -> frozenset[str]:
    """For which hosts of the Route TLS is enabled: those outside, those inside."""
    enabled = {
        EXTERNAL_DOMAIN: wants_certificates(route, network),
        CLUSTER_LOCAL_DOMAIN: network.cluster_local_domain_tls,
    }
    return frozenset(kind for kind, wanted in enabled.items() if wanted)


def route_certificates(
    route: Wire, tags: Collection[str], local: frozenset[str], domain: Domain
) -> list[Wire]:
    """Those that the Route wants; none where TLS is not enabled for it.

    Args:
        route: the Route.
        tags: its tags.
        local: tags, or "" for its own host, that are reached from inside alone.
        domain: how hosts are named.
    """
    label = (ROUTE_LABEL, name_of(route))
    try:
        wanted = [*_outside(route, tags, local, domain), *_inside(route, tags, domain)]
    except BadHostError:  # the status says so
        return []
    return [make_certificate(route, label, one, domain.network) for one in wanted]


def _outside(
    route: Wire, tags: Collection[str], local: frozenset[str], domain: Domain
) -> Iterator[Wanted]:
    if EXTERNAL_DOMAIN not in certificate_types(route, domain.network) or domain.is_local(route):
        return
    for tag in sorted({"", *tags} - local):
        yield Wanted(route_certificate(route, tag), [domain.host(route, tag)], domain.base(route))


def _inside(route: Wire, tags: Collection[str], domain: Domain) -> Iterator[Wanted]:
    if CLUSTER_LOCAL_DOMAIN not in certificate_types(route, domain.network):
        return
    for tag in sorted({"", *tags}):
        hosts = sorted(domain.inside_hosts(route, tag))
        yield Wanted(
            f"{route_certificate(route, tag)}-local", hosts, CLUSTER_DOMAIN, CLUSTER_LOCAL_DOMAIN
        )
