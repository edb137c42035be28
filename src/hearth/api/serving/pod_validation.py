"""What a revision's pod spec may hold, in Knative's words.

Source: knative.dev/serving pkg/apis/serving/k8s_validation.go and fieldmask.go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hearth.api.config.features import FeaturesConfig
from hearth.api.errors import FieldError
from hearth.api.images import Image
from hearth.api.meta import Wire
from hearth.api.serving.faults import (
    Faults,
    disallowed,
    members,
    missing,
    not_allowed,
    one_of,
    out_of_bounds,
    wrong,
)
from hearth.api.serving.probes import probe_faults
from hearth.api.serving.security import container_context_faults, pod_context_faults
from hearth.api.serving.volumes import mount_faults, volume_faults

RESERVED_PORTS = frozenset({8008, 8012, 8013, 8022, 9090, 9091})
RESERVED_ENV = frozenset({"PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"})
_SUBDOMAIN_MAX = 253
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*$")
_SUBDOMAIN_SAID = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    r"for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
#: Fields of a revision's own, which are looked at elsewhere.
_OF_REVISIONS = frozenset({
    "containerConcurrency", "timeoutSeconds", "responseStartTimeoutSeconds", "idleTimeoutSeconds",
})  # fmt: skip
_FREE = _OF_REVISIONS | {
    "serviceAccountName", "containers", "volumes", "imagePullSecrets", "enableServiceLinks",
}  # fmt: skip
#: Fields that a flag decides on.
_BY_FLAG = {
    "initContainers": "podspec-init-containers",
    "affinity": "podspec-affinity",
    "topologySpreadConstraints": "podspec-topologyspreadconstraints",
    "hostAliases": "podspec-hostaliases",
    "nodeSelector": "podspec-nodeselector",
    "runtimeClassName": "podspec-runtimeclassname",
    "tolerations": "podspec-tolerations",
    "shareProcessNamespace": "podspec-shareprocessnamespace",
    "priorityClassName": "podspec-priorityclassname",
    "schedulerName": "podspec-schedulername",
    "dnsPolicy": "podspec-dnspolicy",
    "dnsConfig": "podspec-dnsconfig",
    "hostIPC": "podspec-hostipc",
    "hostPID": "podspec-hostpid",
    "hostNetwork": "podspec-hostnetwork",
}
_OF_CONTAINERS = frozenset({
    "name", "args", "command", "env", "workingDir", "envFrom", "image", "imagePullPolicy",
    "livenessProbe", "ports", "readinessProbe", "resources", "securityContext", "startupProbe",
    "terminationMessagePath", "terminationMessagePolicy", "volumeMounts",
})  # fmt: skip
_NOT_IN_INIT = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle")


def pod_faults(spec: Wire, path: str, features: FeaturesConfig) -> Faults:
    """A revision's pod spec."""
    yield from not_allowed(spec, _allowed(spec, features), path)
    context = spec.get("securityContext") or {}
    yield from pod_context_faults(context, f"{path}.securityContext", features)
    inits, containers = members(spec, "initContainers"), members(spec, "containers")
    volumes = members(spec, "volumes")
    mounted = {m.get("name") for c in (*inits, *containers) for m in members(c, "volumeMounts")}
    yield from volume_faults(volumes, mounted, f"{path}.volumes", features)
    of_pod = _Pod({str(volume.get("name")): volume for volume in volumes}, features)
    yield from _inits(inits, containers, of_pod, f"{path}.initContainers")
    yield from _containers(containers, of_pod, path)
    account = spec.get("serviceAccountName")
    if account and (len(account) > _SUBDOMAIN_MAX or not _SUBDOMAIN.match(account)):
        yield wrong(f"{path}.serviceAccountName", account, _SUBDOMAIN_SAID)


def _allowed(spec: Wire, features: FeaturesConfig) -> set[str]:
    allowed = {*_FREE, *(name for name, flag in _BY_FLAG.items() if not features.is_disabled(flag))}
    if not features.is_disabled("podspec-securitycontext") or features.is_secure:
        allowed.add("securityContext")
    if spec.get("automountServiceAccountToken") is False:
        allowed.add("automountServiceAccountToken")
    return allowed


@dataclass(frozen=True, slots=True)
class _Pod:
    """What containers are held against."""

    volumes: dict[str, Wire]  #: by name
    features: FeaturesConfig


def _containers(containers: list[Wire], pod: _Pod, path: str) -> Faults:
    if not containers:
        yield missing(f"{path}.containers")
        return
    ports = [port for container in containers for port in members(container, "ports")]
    if len(containers) > 1 and not ports:
        yield missing(f"{path}.containers[*].ports")
    if len(ports) > 1:
        at = f"{path}.containers[*].ports"
        said = f"more than one container port is set: {at}"
        yield FieldError(at, f"{said}\nOnly a single port is allowed across all containers")
    if len(containers) > 1 and not pod.features.is_enabled("multi-container"):
        at = f"{path}.containers"
        said = f"multi-container is off, but found {len(containers)} containers: {at}"
        yield FieldError(at, said)
        return
    names = set()
    for number, container in enumerate(containers):
        at = f"{path}.containers[{number}]"
        serves = len(containers) == 1 or bool(container.get("ports"))
        if container.get("name") in names:
            said = f'duplicate container name "{container["name"]}": {at}.name'
            yield FieldError(f"{at}.name", said)
        names.add(container.get("name"))
        yield from not_allowed(container, _OF_CONTAINERS, at)
        yield from _container(container, pod, at, RESERVED_ENV if serves else _BESIDE)
        yield from _ports(members(container, "ports"), f"{at}.ports")
        port = ports[0] if ports else {}
        yield from probe_faults(container, port, at, pod.features, serves=serves)


#: A container beside the one that serves may have a PORT of its own.
_BESIDE = RESERVED_ENV - {"PORT"}


def _inits(inits: list[Wire], containers: list[Wire], pod: _Pod, path: str) -> Faults:
    if inits and not pod.features.is_enabled("podspec-init-containers"):
        found = f"found {len(inits)} init containers"
        said = f"pod spec support for init-containers is off, but {found}: {path}"
        yield FieldError(path, said)
        return
    names = {container.get("name") for container in containers}
    for number, container in enumerate(inits):
        at = f"{path}[{number}]"
        if container.get("name") in names:
            said = f'duplicate container name "{container["name"]}": {at}.name'
            yield FieldError(f"{at}.name", said)
        for field in _NOT_IN_INIT:
            if container.get(field):
                said = f"field not allowed in an init container: {at}.{field}"
                yield FieldError(f"{at}.{field}", said)
        yield from not_allowed(container, _OF_CONTAINERS | {"lifecycle"}, at)
        yield from _container(container, pod, at, _BESIDE)


def _container(container: Wire, pod: _Pod, path: str, reserved: frozenset[str]) -> Faults:
    image = container.get("image")
    if not image:
        yield missing(f"{path}.image")
    else:
        try:
            Image.parse(str(image))
        except ValueError as error:
            at = f"{path}.image"
            said = f'Failed to parse image reference: {at}\nimage: "{image}", error: {error}'
            yield FieldError(at, said)
    if (name := container.get("name")) in ("queue-proxy",):
        yield FieldError(f"{path}.name", f'"{name}" is a reserved container name: {path}.name')
    for number, variable in enumerate(members(container, "env")):
        yield from _variable(variable, f"{path}.env[{number}]", reserved, pod.features)
    for number, source in enumerate(members(container, "envFrom")):
        yield from one_of(source, ("configMapRef", "secretRef"), f"{path}.envFrom[{number}]")
    yield from not_allowed(
        container.get("resources") or {}, ("limits", "requests"), f"{path}.resources"
    )
    policy = container.get("terminationMessagePolicy")
    if policy not in (None, "", "File", "FallbackToLogsOnError"):
        yield wrong(f"{path}.terminationMessagePolicy", policy)
    context = container.get("securityContext") or {}
    yield from container_context_faults(context, f"{path}.securityContext", pod.features)
    mounts = members(container, "volumeMounts")
    yield from mount_faults(mounts, pod.volumes, f"{path}.volumeMounts", pod.features)


def _variable(
    variable: Wire, path: str, reserved: frozenset[str], features: FeaturesConfig
) -> Faults:
    name = variable.get("name")
    if not name:
        yield missing(f"{path}.name")
    elif name in reserved:
        yield FieldError(
            f"{path}.name", f'"{name}" is a reserved environment variable: {path}.name'
        )
    allowed = {"configMapKeyRef", "secretKeyRef"}
    if not features.is_disabled("podspec-fieldref"):
        allowed |= {"fieldRef", "resourceFieldRef"}
    yield from not_allowed(variable.get("valueFrom") or {}, allowed, f"{path}.valueFrom")


def _ports(ports: list[Wire], path: str) -> Faults:
    for port in ports[:1]:
        number = port.get("containerPort") or 0
        if number in RESERVED_PORTS:
            why = f"{number} is a reserved port, please use a different value"
            yield wrong(f"{path}.containerPort", f"{number} is a reserved port", why)
        if not 0 <= number <= 65535:
            yield out_of_bounds(f"{path}.containerPort", number, 0, 65535)
        if port.get("protocol") not in (None, "", "TCP"):
            yield wrong(f"{path}.protocol", port.get("protocol"))
        if port.get("name") not in (None, "", "h2c", "http1"):
            said = f"Port name {port['name']} is not allowed: {path}"
            yield FieldError(path, f"{said}\nName must be empty, or one of: 'h2c', 'http1'")
        for field in ("hostPort", "hostIP"):
            if port.get(field):
                yield disallowed(f"{path}.{field}")
