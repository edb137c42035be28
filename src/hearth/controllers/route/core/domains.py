"""The hosts and URLs of a Route and its tags.

Source: knative.dev/serving pkg/reconciler/route/domains and pkg/reconciler/route/visibility.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hearth.api.config import DomainsConfig, FeaturesConfig, NetworkConfig
from hearth.api.config.network import DEFAULT_TAG_TEMPLATE
from hearth.api.meta import Wire, annotations_of, labels_of, name_of, namespace_of
from hearth.api.names import CLUSTER_DOMAIN
from hearth.api.serving.domain_mappings import host_faults

_HTTP_PORT = 80
_HTTPS_PORT = 443


class BadHostError(ValueError):
    """The templates make no host name of this Route; the message is Knative's."""


@dataclass(frozen=True, slots=True)
class Domain:
    """Where the gateway is reached, and how hosts are named."""

    suffix: str  #: where no other domain is for the Route, e.g. ``localhost``
    port: int  #: the gateway's, shown in URLs unless it is 80
    https_port: int = _HTTPS_PORT  #: likewise, unless it is 443; 0 is not shown
    network: NetworkConfig = field(default_factory=NetworkConfig)
    domains: DomainsConfig = field(default_factory=DomainsConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    inside: str = ""  #: the gateways' own name inside, where the cluster's DNS needs one

    def is_local(self, route: Wire) -> bool:
        """Whether the Route is reached from inside alone."""
        return self._domain_of(route) == CLUSTER_DOMAIN

    def host(self, route: Wire, tag: str = "") -> str:
        """The host name of the Route or of one of its tags.

        Raises:
            BadHostError: it would not be a host name.
        """
        if self.is_local(route):
            return self.inside_hosts(route, tag)[0]
        name = self.short_name(route, tag)
        values: dict[str, str | Mapping[str, str]] = {
            "Name": name,
            "Namespace": namespace_of(route),
            "Domain": self._domain_of(route),
            "Labels": labels_of(route),
            "Annotations": annotations_of(route),
        }
        host = self.network.domain_template.render(values)
        if faults := host_faults(host):
            said = "; ".join(f'url: Invalid value: "{host}": {why}' for why in faults)
            raise BadHostError(f'domain name error: invalid domain name "{host}": {said}')
        return host

    def inside_hosts(self, route: Wire, tag: str = "") -> tuple[str, ...]:
        """The names by which it is reached from inside, the longest first."""
        short = f"{self.short_name(route, tag)}.{namespace_of(route)}"
        return (f"{short}.{CLUSTER_DOMAIN}", f"{short}.svc", short)

    def short_name(self, route: Wire, tag: str = "") -> str:
        """The first part of the host name."""
        if not tag:
            return name_of(route)
        return self.network.tag_template.render({"Name": name_of(route), "Tag": tag})

    def tag_hosts(self, route: Wire, tags: list[str]) -> str:
        """``TAG=NAME,…`` if tags are not named as usual; else empty."""
        if self.network.tag_template == DEFAULT_TAG_TEMPLATE:
            return ""
        return ",".join(f"{tag}={self.short_name(route, tag)}" for tag in tags)

    def url(self, route: Wire, tag: str = "", *, https: bool = False) -> str:
        """``http://HOST[:PORT]``; what is reached from inside has no port.

        Args:
            route: the Route.
            tag: one of its tags, or empty.
            https: there is a certificate for it.

        Raises:
            BadHostError: as :meth:`host`.
        """
        host = self.host(route, tag)
        if self.is_local(route):
            return f"{'https' if https else 'http'}://{host}"
        return self.external_url(host, https=https)

    def external_url(self, host: str, *, https: bool = False) -> str:
        """The URL of a host that is reached from outside."""
        if https:
            port = "" if self.https_port in (0, _HTTPS_PORT) else f":{self.https_port}"
            return f"https://{host}{port}"
        if self.network.external_scheme == "https":  # something before the gateway ends TLS
            return f"https://{host}"
        return f"http://{host}" + ("" if self.port == _HTTP_PORT else f":{self.port}")

    def base(self, route: Wire) -> str:
        """The domain that the Route's hosts are under."""
        return self._domain_of(route)

    def _domain_of(self, route: Wire) -> str:
        return self.domains.domain_of(labels_of(route), self.suffix)
