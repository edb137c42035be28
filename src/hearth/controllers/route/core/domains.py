"""The URLs of a Route and its tags.

Source: knative.dev/serving pkg/reconciler/route/domains (the default domain and tag templates).
"""

from __future__ import annotations

from dataclasses import dataclass

from hearth.api.meta import Wire, labels_of, name_of, namespace_of
from hearth.api.names import VISIBILITY_LABEL

CLUSTER_DOMAIN = "svc.cluster.local"
_HTTP_PORT = 80


@dataclass(frozen=True, slots=True)
class Domain:
    """Where the gateway is reached."""

    suffix: str  #: e.g. ``localhost``
    port: int  #: the gateway's, shown in URLs unless it is 80

    def url(self, route: Wire, tag: str = "") -> str:
        """``http://[TAG-]NAME.NAMESPACE.SUFFIX[:PORT]``; a cluster-local Route has no port."""
        host = f"{tag}-{name_of(route)}" if tag else name_of(route)
        if labels_of(route).get(VISIBILITY_LABEL) == "cluster-local":
            return f"http://{host}.{namespace_of(route)}.{CLUSTER_DOMAIN}"
        port = "" if self.port == _HTTP_PORT else f":{self.port}"
        return f"http://{host}.{namespace_of(route)}.{self.suffix}{port}"


def address(route: Wire) -> str:
    """Where the Route is reached from inside."""
    return f"http://{name_of(route)}.{namespace_of(route)}.{CLUSTER_DOMAIN}"
