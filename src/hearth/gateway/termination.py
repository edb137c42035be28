"""TLS in front of a node's pods: one Envoy of the node's own, with a listener for each pod.

A listener is in its pod's network, at Knative's port for it, and what it is sent goes on to the
app's port within this machine. It ends TLS and nothing more: HTTP/2, gRPC and WebSocket pass as
they come, and a connection ends when the app's does. Envoy connects to the app before it answers
the handshake, so an app that refuses is one that cannot be connected to, and the gateway may send
the request to another.
"""

from __future__ import annotations

from pathlib import Path

import envoy.extensions.filters.network.set_filter_state.v3.set_filter_state_pb2
import envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2
import envoy.extensions.transport_sockets.tls.v3.tls_pb2  # noqa: F401 - known by name
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from google.protobuf.json_format import ParseDict

from hearth.api.inside import TLS_PORT, Front
from hearth.gateway.bootstrap import pipe_cluster, xds_source
from hearth.gateway.envoy import Envoy, socket_folder
from hearth.gateway.listeners import Config
from hearth.gateway.translate import ADS, CIRCUIT_BREAKERS, TLS_PARAMETERS, TYPES
from hearth.gateway.xds import LISTENERS, SECRETS, Resources, serve_xds
from hearth.kit.x509 import Pair

_FILTERS = f"{TYPES}.extensions.filters.network"
_ADDRESS = "envoy.network.transport_socket.original_dst_address"
_NO_REPORTS_S = 3600.0  #: nobody asks for load reports


class Terminator:
    """Ends TLS for pods. Belongs to one event loop."""

    def __init__(self, state: Path, workers: int) -> None:
        """Keep Envoy's log below ``state``; it runs with so many threads."""
        self._state = state
        self._workers = workers
        self._resources = Resources()

    async def run(self) -> None:
        """Run the Envoy until cancelled."""
        with socket_folder(self._state, None) as sockets:
            server = await serve_xds(
                self._resources, f"unix:{sockets}/xds", lambda report: None, _NO_REPORTS_S
            )
            config = make_bootstrap(xds=f"{sockets}/xds", admin=f"{sockets}/admin")
            try:
                await Envoy(config, self._state, self._workers, outlives=False).run()
            finally:
                await server.stop(0)

    def put(self, front: Front) -> None:
        """Listen for the pod from now on, or as it is now."""
        self._resources.put(LISTENERS, {front.pod: make_listener(front)})

    def remove(self, pod: str) -> None:
        """Listen for the pod no more."""
        self._resources.remove(LISTENERS, [pod])

    def certify(self, namespace: str, pair: Pair) -> None:
        """Answer for the namespace's pods with this certificate: new connections, at once."""
        message = Secret(name=namespace)
        message.tls_certificate.certificate_chain.inline_bytes = pair.certificate
        message.tls_certificate.private_key.inline_bytes = pair.key
        self._resources.put(SECRETS, {namespace: message})


def make_bootstrap(*, xds: str, admin: str) -> Config:
    """Envoy's configuration; both are paths of unix sockets."""
    apps = {
        "name": "apps",
        "type": "ORIGINAL_DST",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": "0.25s",
        "cleanup_interval": "30s",
        "circuit_breakers": CIRCUIT_BREAKERS,
    }
    return {
        "node": {"id": "terminator", "cluster": "hearth"},
        "admin": {"address": {"pipe": {"path": admin, "mode": 0o600}}},
        "dynamic_resources": {"ads_config": xds_source("DELTA_GRPC"), "lds_config": ADS},
        "static_resources": {
            "clusters": [pipe_cluster("xds", xds, http2=True), apps],
            "listeners": [],
        },
        "stats_config": {
            "stats_matcher": {"inclusion_list": {"patterns": [{"prefix": "listener_manager."}]}}
        },
    }


def make_listener(front: Front) -> Listener:
    """The listener of one pod."""
    address: Config = {
        "address": front.ip,
        "port_value": TLS_PORT,
        "network_namespace_filepath": front.network,
    }
    to_app = {
        "object_key": _ADDRESS,
        "format_string": {"text_format_source": {"inline_string": f"{front.ip}:{front.port}"}},
    }
    filters = [
        {
            "name": "envoy.filters.network.set_filter_state",
            "typed_config": {
                "@type": f"{_FILTERS}.set_filter_state.v3.Config",
                "on_new_connection": [to_app],
            },
        },
        {
            "name": "envoy.filters.network.tcp_proxy",
            "typed_config": {
                "@type": f"{_FILTERS}.tcp_proxy.v3.TcpProxy",
                "stat_prefix": "apps",
                "cluster": "apps",
                "idle_timeout": "0s",  # a revision's timeouts alone end its streams
            },
        },
    ]
    certificate = {"name": front.namespace, "sds_config": ADS}
    context = {
        "@type": f"{TYPES}.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "tls_params": TLS_PARAMETERS,
            "tls_certificate_sds_secret_configs": [certificate],
        },
    }
    tls = {"name": "envoy.transport_sockets.tls", "typed_config": context}
    wire = {
        "name": front.pod,
        "address": {"socket_address": address},
        "filter_chains": [{"filters": filters, "transport_socket": tls}],
    }
    return ParseDict(wire, Listener())
