"""What a gateway can be told."""

from __future__ import annotations

from pathlib import Path

import msgspec


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one gateway."""

    name: str  #: unique among gateways; its Lease is ``gateway-NAME``
    state: Path  #: Envoy's log is kept below it
    host: str = "127.0.0.1"  #: where Envoy listens
    port: int = 8080  #: 0 picks a free one
    https_port: int = 0  #: where it listens for TLS; 0 picks a free one
    inside_host: str = "127.0.0.1"  #: where Envoy listens for requests from inside
    inside_port: int = 0  #: 0 picks a free one
    inside_https_port: int = 0  #: likewise, for TLS
    group: str = "default"  #: the ServiceGroup it serves
    announced: bool = True  #: writes Services that say where it is; a cluster's are installed
    pod_uid: str = ""  #: of the Kubernetes pod of this name that it runs in; its Lease goes with it
    workers: int = 2  #: Envoy's worker threads
    held_max: int = 20_000  #: requests held at once; more get 503
    held_per_revision_max: int = 10_000
    stats_interval_s: float = 0.1  #: between Envoy's load reports (measured: 30 ms fresh)
    outlives: bool = False  #: Envoy goes on when the companion dies, which comes again
    headers_timeout_s: float = 60.0  #: for a request's headers to be whole; then 408
    body_timeout_s: float = 3600.0  #: for a request to be whole, unless it is answered before
    logs_host: str = "127.0.0.1"  #: where the log of requests is served to the API server
    request_log_max_bytes: int = 32 * 2**20  #: of one file of it
    request_log_files_max: int = 3  #: then the oldest goes
