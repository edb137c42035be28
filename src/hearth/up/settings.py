"""What each process can be told; every field is documented in docs/settings.md."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from hearth.node.core.capacity import parse_resources

#: Our own API server and nodes, or a cluster's.
Substrate: TypeAlias = Literal["hearth", "kubernetes"]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of all processes: each reads those that concern its parts."""

    state: str = ""  #: directory for everything that must outlive the process
    log_level: str = "info"  #: debug, info, warning or error
    metrics_host: str = "127.0.0.1"  #: address where /metrics is served
    metrics_port: int | None = None  #: 0 picks a free port; None: the process's usual one, if free
    # API server
    api_host: str = "127.0.0.1"  #: address the API server listens on
    api_port: int = 6443  #: 0 picks a free port
    # Gateway
    http_host: str = "127.0.0.1"  #: address Envoy listens on
    http_port: int = 8080  #: 0 picks a free port
    https_port: int = 0  #: where it listens for TLS; 0 picks a free port
    inside_host: str = ""  #: where Envoy listens for requests from inside; empty: where pods are
    inside_port: int = 0  #: 0 picks a free port
    inside_https_port: int = 0  #: likewise, for TLS
    envoy_workers: int = 0  #: threads of Envoy; 0: one per core
    domain: str = "localhost"  #: suffix of every app's host name
    autoscaler: str = "https://127.0.0.1:8443"  #: where a shard's autoscaler is; may hold {shard}
    # Controller
    autoscaler_host: str = "127.0.0.1"  #: address the autoscaler listens on
    autoscaler_port: int = 8443  #: 0 picks a free port
    shard: str = "default"  #: which apps this controller owns
    substrate: Substrate = "hearth"  #: whose API server it is, and who runs pods
    webhook_host: str = "127.0.0.1"  #: on Kubernetes: address the webhooks listen on
    webhook_port: int = 8444  #: 0 picks a free one
    pool: int | None = None  #: level of the default PodPool; None: as stored, or 4 when it is new
    # Gateway and controller, in a pod
    pod_uid: str = ""  #: of the pod that the process runs in: what it leaves goes with it
    # Node
    node_name: str = ""  #: empty: the host's name
    cgroups: str = "auto"  #: on, off or auto: limits per pod
    netns: str = "auto"  #: on, off or auto: a network namespace per pod
    node_resources: str = ""  #: extended resources that the node has: NAME=AMOUNT,…

    def __post_init__(self) -> None:
        """Refuse what cannot be read, before anything starts."""
        parse_resources(self.node_resources)
