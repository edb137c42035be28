"""What an installation can be told."""

from __future__ import annotations

from dataclasses import dataclass

from hearth.api.names import DEFAULT_SHARD


@dataclass(frozen=True, slots=True)
class Options:
    """The differences between installations."""

    tag: str  #: of the images
    images: str = "hearth.dev"  #: where they are: the part before their names
    pull_policy: str = "IfNotPresent"
    domain: str = "localhost"  #: suffix of apps' hosts; config-domain says more
    gateways: int = 2
    service_type: str = "LoadBalancer"  #: of the gateways' Service
    envoy_workers: int = 2
    log_level: str = "info"
    shard: str = DEFAULT_SHARD

    def image(self, name: str) -> str:
        """The reference of one of ours."""
        return f"{self.images}/{name}:{self.tag}"
