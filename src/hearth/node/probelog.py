"""Logs HTTP probes as requests, where ``config-observability`` asks for it.

They go by no gateway, so their lines are the node's to write: into the pod's folder, under the name
that the log of requests has. There are few of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from urllib.parse import urlsplit

from hearth.api.config import read_observability
from hearth.api.config.request_log import Field
from hearth.api.kinds import CONFIG_MAP
from hearth.api.logs import QUEUE_PROXY
from hearth.api.meta import Wire, labels_of, name_of, namespace_of, status_of, uid_of
from hearth.api.names import (
    CONFIGURATION_LABEL,
    KNATIVE_NAMESPACE,
    REVISION_LABEL,
    SERVICE_LABEL,
)
from hearth.kit.clock import Clock
from hearth.node.logs import RuntimeLog
from hearth.runtime import Informers
from hearth.runtime.following import Followed
from hearth.runtime.probes import HttpProbe

_MAX_BYTES = 2**20  #: of one file; there are two


class ProbeLog:
    """Of all pods of a node."""

    def __init__(self, informers: Informers, state: Path, clock: Clock) -> None:
        config_maps = informers.of(CONFIG_MAP, namespace=KNATIVE_NAMESPACE, label_selector="")
        self._config = Followed(config_maps, "config-observability", read_observability)
        self._pods = state / "pods"
        self._clock = clock

    def heard(self, pod: Wire, probe: HttpProbe) -> None:
        """A revision's pod was asked."""
        config = self._config()
        if not (
            config.request_log and config.probe_request_log and REVISION_LABEL in labels_of(pod)
        ):
            return
        values = _values(pod, probe)
        line = config.template.render(lambda field: _value(field, values, probe.headers))
        at = self._clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        path = self._pods / uid_of(pod) / QUEUE_PROXY / "0.log"
        with contextlib.suppress(OSError):  # a full disk must not end the pod
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with path.open("a") as file:
                file.write(f"{at} stdout F {line}\n")
                full = file.tell() > _MAX_BYTES
            if full:
                path.replace(path.with_name("0.log.1"))

    def log_of(self, pod: Wire, *, runs: bool) -> RuntimeLog | None:
        """What there is of a pod; None when nothing is."""
        folder = self._pods / uid_of(pod) / QUEUE_PROXY
        if not folder.exists():
            return None
        found = RuntimeLog(folder)
        found.open_run = 0 if runs else -1
        return found


def _values(pod: Wire, probe: HttpProbe) -> Mapping[str, str]:
    own = labels_of(pod)
    return {
        "Request.Method": "GET",
        "Request.Proto": "HTTP/1.1",
        "Request.Host": probe.headers["Host"],
        "Request.RequestURI": probe.path,
        "Request.URL": probe.path,
        "Request.URL.Path": urlsplit(probe.path).path,
        "Request.ContentLength": "0",
        "Request.RemoteAddr": probe.remote,
        "Request.UserAgent": probe.headers["User-Agent"],
        "Response.Code": str(probe.status),
        "Response.Size": "0",  # a probe reads the first line alone
        "Response.Latency": f"{probe.took_s:.6f}",
        "Revision.Name": own.get(REVISION_LABEL, ""),
        "Revision.Namespace": namespace_of(pod),
        "Revision.Service": own.get(SERVICE_LABEL, ""),
        "Revision.Configuration": own.get(CONFIGURATION_LABEL, ""),
        "Revision.PodName": name_of(pod),
        "Revision.PodIP": str(status_of(pod).get("podIP") or ""),
    }


def _value(field: Field, values: Mapping[str, str], headers: Mapping[str, str]) -> str:
    if field.name == "Request.Header":
        given = {name.lower(): text for name, text in headers.items()}
        return given.get(field.header.lower(), "")
    return values.get(field.name, "")
