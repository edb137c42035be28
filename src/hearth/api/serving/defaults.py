"""What is filled in when a manifest does not say it.

Source: knative.dev/serving pkg/apis/serving/v1/*_defaults.go.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hearth.api.config.defaults import DefaultsConfig, name_from
from hearth.api.config.features import FeaturesConfig, SecureDefaults
from hearth.api.config.serving import ServingConfig
from hearth.api.meta import Wire, name_of, spec_of
from hearth.api.naming import child_name

_HANDLERS = ("tcpSocket", "httpGet", "exec", "grpc")
_LOW_PORTS = 1024  #: ports below take a capability
_NO_CONFIG = ServingConfig()


def default_revision_spec(spec: Any, parent: Wire, config: ServingConfig) -> Wire:
    """A revision spec with its defaults.

    Args:
        spec: as it was written.
        parent: the object that it is in: its metadata may name containers.
        config: what the config maps say.
    """
    filled: Wire = copy.deepcopy(spec) if isinstance(spec, dict) else {}
    _default_limits(filled, config.defaults)
    links = config.defaults.service_links
    if filled.get("enableServiceLinks") is None and links is not None:
        filled["enableServiceLinks"] = links
    containers, inits = _of(filled, "containers"), _of(filled, "initContainers")
    taken = {container.get("name") for container in (*containers, *inits)}
    _name_all(containers, taken, name_from(config.defaults.container_name, parent))
    _name_all(inits, taken, name_from(config.defaults.init_container_name, parent))
    writable = _writable(filled.get("volumes"))
    for container in containers:
        if len(containers) == 1 or container.get("ports"):
            _default_probe(container)
        _default_container(container, writable, config.defaults)
    for container in inits:
        container.setdefault("resources", {})
        _default_mounts(container, writable)
    if config.features.is_secure:
        of_pod = filled.get("securityContext") or {}
        for container in (*containers, *inits):
            _secure(container, of_pod, config.features)
    return filled


def _of(spec: Wire, field: str) -> list[Wire]:
    found = spec.get(field)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _default_limits(spec: Wire, defaults: DefaultsConfig) -> None:
    """How long requests may take and how many there may be."""
    spec["timeoutSeconds"] = timeout_s = spec.get("timeoutSeconds") or defaults.timeout_s
    for field, default_s in (
        ("idleTimeoutSeconds", defaults.idle_timeout_s),
        ("responseStartTimeoutSeconds", defaults.response_start_timeout_s),
    ):
        if spec.get(field) is None and default_s and default_s < timeout_s:
            spec[field] = default_s
    if spec.get("containerConcurrency") is None:
        spec["containerConcurrency"] = defaults.concurrency


def _name_all(containers: list[Wire], taken: set[Any], name: str) -> None:
    """Names for those that have none; numbered when there are several."""
    numbers = iter(range(len(containers) + len(taken)))
    for container in containers:
        if container.get("name"):
            continue
        own = name
        if len(containers) > 1 or own in taken:
            own = next(_free(name, numbers, taken))
        container["name"] = own


def _free(name: str, numbers: Iterator[int], taken: set[Any]) -> Iterator[str]:
    numbered = (child_name(name, f"-{number}") for number in numbers)
    return (each for each in numbered if each not in taken)


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
        if not any(handler in probe for handler in _HANDLERS):
            probe["tcpSocket"] = {"port": 0}


def _default_container(container: Wire, writable: set[str], defaults: DefaultsConfig) -> None:
    resources = container["resources"] = container.get("resources") or {}
    for (kind, bound), amount in defaults.resources.items():
        resources[bound] = {kind: amount, **(resources.get(bound) or {})}
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
    _default_mounts(container, writable)


def _default_mounts(container: Wire, writable: set[str]) -> None:
    for mount in container.get("volumeMounts") or ():
        if isinstance(mount, dict) and mount.get("name") not in writable:
            mount["readOnly"] = True


def _secure(container: Wire, of_pod: Wire, features: FeaturesConfig) -> None:
    """What the restricted level wants, where nothing is said."""
    context = dict(container.get("securityContext") or {})
    if context.get("allowPrivilegeEscalation") is None:
        context["allowPrivilegeEscalation"] = False
    if not (of_pod.get("seccompProfile") or {}).get("type"):
        profile = context.get("seccompProfile") or {}
        context["seccompProfile"] = {**profile, "type": profile.get("type") or "RuntimeDefault"}
    if context.get("capabilities") is None:
        ports = [port.get("containerPort") or 0 for port in _of(container, "ports")]
        low = any(port < _LOW_PORTS for port in ports)
        adds = {"add": ["NET_BIND_SERVICE"]} if low else {}
        context["capabilities"] = {"drop": ["ALL"], **adds}
    enforced = features.secure_pod_defaults is SecureDefaults.ENABLED
    if enforced and of_pod.get("runAsNonRoot") is None and context.get("runAsNonRoot") is None:
        context["runAsNonRoot"] = True
    container["securityContext"] = context


def _default_traffic(traffic: Any) -> Any:
    if not isinstance(traffic, list):
        return traffic
    filled = []
    for target in traffic:
        if isinstance(target, dict) and "latestRevision" not in target:
            target = {**target, "latestRevision": not target.get("revisionName")}
        filled.append(target)
    return filled


def _default_template(spec: Wire, wire: Wire, old: Wire | None, config: ServingConfig) -> Any:
    """The template of a Service or Configuration.

    One that keeps the name of its revision is left alone: it may not change without another name.
    """
    template = spec.get("template")
    filled: Wire = copy.deepcopy(template) if isinstance(template, dict) else {}
    before = spec_of(old or {}).get("template")
    if name_of(filled) and name_of(filled) == name_of(before if isinstance(before, dict) else {}):
        return filled
    filled["spec"] = default_revision_spec(filled.get("spec"), wire, config)
    return filled


def default_service(
    wire: Wire, old: Wire | None = None, config: ServingConfig = _NO_CONFIG
) -> Wire:
    """A Service with its defaults; without traffic all goes to the latest revision."""
    spec = dict(spec_of(wire))
    spec["template"] = _default_template(spec, wire, old, config)
    spec["traffic"] = _default_traffic(spec.get("traffic") or [{"percent": 100}])
    return {**wire, "spec": spec}


def default_configuration(
    wire: Wire, old: Wire | None = None, config: ServingConfig = _NO_CONFIG
) -> Wire:
    """A Configuration with its defaults."""
    spec = dict(spec_of(wire))
    return {**wire, "spec": {**spec, "template": _default_template(spec, wire, old, config)}}


def default_route(wire: Wire, old: Wire | None = None) -> Wire:
    """A Route with its defaults."""
    spec = dict(spec_of(wire))
    if "traffic" in spec:
        spec["traffic"] = _default_traffic(spec["traffic"])
    return {**wire, "spec": spec}


def default_revision(
    wire: Wire, old: Wire | None = None, config: ServingConfig = _NO_CONFIG
) -> Wire:
    """A Revision with its defaults; those of one that is there are as they were."""
    if old is not None:
        return wire
    return {**wire, "spec": default_revision_spec(spec_of(wire), wire, config)}
