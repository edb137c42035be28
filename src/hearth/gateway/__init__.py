"""A gateway: Envoy, and the companion that configures it and holds requests for it.

``companion.Gateway`` follows Routes, Revisions and pods and keeps Envoy's configuration: ``core``
computes it, ``translate`` turns it into xDS, ``xds`` serves it. ``activator`` holds the requests of
revisions that have no instance. ``envoy`` runs the proxy.
"""

from hearth.gateway.autoscaler_client import AutoscalerClient
from hearth.gateway.companion import Gateway
from hearth.gateway.settings import GatewaySettings

__all__ = ["AutoscalerClient", "Gateway", "GatewaySettings"]
