"""What the node agent can be told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one node agent."""

    name: str  #: of the Node object
    state: Path  #: packages and logs are kept below it
    cgroups: str = "auto"  #: on, off or auto: limits per pod (needs root)
    netns: str = "auto"  #: on, off or auto: a network namespace per pod (needs root and ``ip``)
    host: str = "127.0.0.1"  #: where the log server listens
    services: str = ""  #: address of services, for pods; empty: the node's own among its pods
    resources: Mapping[str, str] = {}  #: amounts of extended resources, by their names
    alone: bool = False  #: gateways go on when this process dies
    max_pods: int = 500  #: pods that this node takes
    pids_max: int = 1024  #: processes per pod
    drain_s: float = 1.0  #: from a pod's deletion to SIGTERM: routing lets go of it meanwhile
    images_every_s: float = 300.0  #: between looks whether images must go (kubelet's period)
    images_high_share: float = 0.85  #: of the disk in use, from which unused images go
    images_low_share: float = 0.80  #: of the disk in use, to which they go
    disk_every_s: float = 10.0  #: between looks at what pods take of the disk (kubelet's period)
    volumes_refresh_s: float = 60.0  #: between looks at what volumes show (kubelet's period)
    cache_max_bytes: int = 5 * 2**30  #: of unpacked packages
    log_max_bytes: int = 10 * 2**20  #: of one log file
    log_files_max: int = 5  #: of one container
