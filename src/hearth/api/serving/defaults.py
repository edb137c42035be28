"""What is filled in when a manifest does not say it.

Source: knative.dev/serving pkg/apis/serving/v1/*_defaults.go and config-defaults.
"""

from __future__ import annotations

import copy
from typing import Any

from hearth.api.meta import Wire, spec_of
from hearth.api.names import USER_CONTAINER

CONTAINER_CONCURRENCY = 0  #: no limit
TIMEOUT_SECONDS = 300


def default_template(template: Any) -> Wire:
    """A revision template with its defaults."""
    filled = copy.deepcopy(template) if isinstance(template, dict) else {}
    filled["spec"] = default_revision_spec(filled.get("spec"))
    return filled


def default_revision_spec(spec: Any) -> Wire:
    """A revision spec with its defaults."""
    filled: Wire = copy.deepcopy(spec) if isinstance(spec, dict) else {}
    filled.setdefault("containerConcurrency", CONTAINER_CONCURRENCY)
    if not filled.get("timeoutSeconds"):
        filled["timeoutSeconds"] = TIMEOUT_SECONDS
    filled.setdefault("enableServiceLinks", False)
    containers = filled.get("containers")
    if not isinstance(containers, list):
        return filled
    writable = _writable(filled.get("volumes"))
    for number, container in enumerate(containers):
        if isinstance(container, dict):
            alone = len(containers) == 1
            if not container.get("name"):
                container["name"] = USER_CONTAINER if alone else f"{USER_CONTAINER}-{number}"
            if alone or container.get("ports"):
                _default_probe(container)
            _default_container(container, writable)
    for number, container in enumerate(filled.get("initContainers") or ()):
        if isinstance(container, dict):
            if not container.get("name"):
                container["name"] = f"init-container-{number}" if number else "init-container"
            _default_container(container, writable)
    return filled


def _writable(volumes: Any) -> set[str]:
    """The volumes that containers may write to when they do not say so."""
    kinds = ("emptyDir", "persistentVolumeClaim", "ephemeral")
    found = (volume for volume in volumes or () if isinstance(volume, dict))
    return {str(v.get("name")) for v in found if any(kind in v for kind in kinds)}


def _default_probe(container: Wire) -> None:
    """What serves is ready when its port takes connections, if it does not say otherwise."""
    probe = container.setdefault("readinessProbe", {}) or {}
    if isinstance(probe, dict):
        container["readinessProbe"] = probe
        if not any(handler in probe for handler in ("tcpSocket", "httpGet", "exec", "grpc")):
            probe["tcpSocket"] = {"port": 0}


def _default_container(container: Wire, writable: set[str]) -> None:
    container.setdefault("resources", {})
    probe = container.get("readinessProbe")
    if isinstance(probe, dict):
        probe["successThreshold"] = probe.get("successThreshold") or 1
        if probe.get("periodSeconds"):  # without, it is asked as often as Knative likes
            probe["failureThreshold"] = probe.get("failureThreshold") or 3
            probe["timeoutSeconds"] = probe.get("timeoutSeconds") or 1
    for kind in ("readinessProbe", "livenessProbe", "startupProbe"):
        probe = container.get(kind)
        if isinstance(probe, dict) and isinstance(probe.get("grpc"), dict):
            probe["grpc"].setdefault("service", "")
    for mount in container.get("volumeMounts") or ():
        if isinstance(mount, dict) and mount.get("name") not in writable:
            mount["readOnly"] = True


def _default_traffic(traffic: Any) -> Any:
    if not isinstance(traffic, list):
        return traffic
    filled = []
    for target in traffic:
        if isinstance(target, dict) and "latestRevision" not in target:
            target = {**target, "latestRevision": not target.get("revisionName")}
        filled.append(target)
    return filled


def default_service(wire: Wire) -> Wire:
    """A Service with its defaults; without traffic all goes to the latest revision."""
    spec = dict(spec_of(wire))
    spec["template"] = default_template(spec.get("template"))
    spec["traffic"] = _default_traffic(spec.get("traffic") or [{"percent": 100}])
    return {**wire, "spec": spec}


def default_configuration(wire: Wire) -> Wire:
    """A Configuration with its defaults."""
    spec = dict(spec_of(wire))
    return {**wire, "spec": {**spec, "template": default_template(spec.get("template"))}}


def default_route(wire: Wire) -> Wire:
    """A Route with its defaults."""
    spec = dict(spec_of(wire))
    if "traffic" in spec:
        spec["traffic"] = _default_traffic(spec["traffic"])
    return {**wire, "spec": spec}


def default_revision(wire: Wire) -> Wire:
    """A Revision with its defaults."""
    return {**wire, "spec": default_revision_spec(spec_of(wire))}
