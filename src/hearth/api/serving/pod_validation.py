"""What a revision's pod spec may hold, in Knative's words.

Every feature of ``config-features`` counts as allowed but mount propagation and what makes a
container privileged.

Source: knative.dev/serving pkg/apis/serving/k8s_validation.go and fieldmask.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from posixpath import isabs, normpath
from typing import Any

from hearth.api.errors import FieldError
from hearth.api.images import Image
from hearth.api.meta import Wire
from hearth.api.serving.faults import Faults, disallowed, missing, out_of_bounds, wrong

RESERVED_PORTS = frozenset({8008, 8012, 8013, 8022, 9090, 9091})
RESERVED_ENV = frozenset({"PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"})
_RESERVED_PATHS = frozenset({"/", "/dev", "/dev/log"})
_MAX_INT32 = 2**31 - 1
_LABEL_MAX, _SUBDOMAIN_MAX = 63, 253
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_1123 = re.compile(rf"{_LABEL}$")
_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*$")
_SUBDOMAIN_SAID = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    r"for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_VOLUMES = (
    "secret", "configMap", "projected", "emptyDir", "persistentVolumeClaim", "hostPath", "csi",
    "ephemeral", "image", "downwardAPI",
)  # fmt: skip
_PROJECTIONS = ("secret", "configMap", "serviceAccountToken", "downwardAPI")
_WRITABLE = ("emptyDir", "persistentVolumeClaim", "ephemeral")
_HANDLERS = ("httpGet", "tcpSocket", "exec", "grpc")
_NOT_IN_INIT = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle")
_NOT_OF_PODS = (
    "restartPolicy", "terminationGracePeriodSeconds", "activeDeadlineSeconds", "nodeName",
    "hostname", "subdomain", "priority", "readinessGates",
)  # fmt: skip


def pod_faults(spec: Wire, path: str) -> Faults:
    """A revision's pod spec."""
    for field in _NOT_OF_PODS:
        if spec.get(field):
            yield disallowed(f"{path}.{field}")
    yield from _ids(spec.get("securityContext") or {}, f"{path}.securityContext")
    inits, containers = _of(spec, "initContainers"), _of(spec, "containers")
    volumes = {str(v.get("name")): v for v in _of(spec, "volumes")}
    mounted = {m.get("name") for c in (*inits, *containers) for m in _of(c, "volumeMounts")}
    yield from _volumes(_of(spec, "volumes"), mounted, f"{path}.volumes")
    yield from _inits(inits, containers, volumes, f"{path}.initContainers")
    yield from _containers(containers, volumes, path)
    account = spec.get("serviceAccountName")
    if account and (len(account) > _SUBDOMAIN_MAX or not _SUBDOMAIN.match(account)):
        yield wrong(f"{path}.serviceAccountName", account, _SUBDOMAIN_SAID)


def _of(wire: Wire, field: str) -> list[Wire]:
    return [one for one in wire.get(field) or () if isinstance(one, dict)]


# Containers


def _containers(containers: list[Wire], volumes: dict[str, Wire], path: str) -> Faults:
    if not containers:
        yield missing(f"{path}.containers")
        return
    ports = [port for container in containers for port in _of(container, "ports")]
    if len(containers) > 1 and not ports:
        yield missing(f"{path}.containers[*].ports")
    if len(ports) > 1:
        at = f"{path}.containers[*].ports"
        said = f"more than one container port is set: {at}"
        yield FieldError(at, f"{said}\nOnly a single port is allowed across all containers")
    names = set()
    for number, container in enumerate(containers):
        at = f"{path}.containers[{number}]"
        serves = len(containers) == 1 or bool(container.get("ports"))
        if container.get("name") in names:
            said = f'duplicate container name "{container["name"]}": {at}.name'
            yield FieldError(f"{at}.name", said)
        names.add(container.get("name"))
        yield from _container(container, volumes, at, RESERVED_ENV if serves else _BESIDE)
        yield from _ports(_of(container, "ports"), f"{at}.ports")
        yield from _probes(container, ports[0] if ports else {}, at, serves=serves)


#: A container beside the one that serves may have a PORT of its own.
_BESIDE = RESERVED_ENV - {"PORT"}


def _inits(
    inits: list[Wire], containers: list[Wire], volumes: dict[str, Wire], path: str
) -> Faults:
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
        yield from _container(container, volumes, at, _BESIDE)


def _container(
    container: Wire, volumes: dict[str, Wire], path: str, reserved: frozenset[str]
) -> Faults:
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
    name = container.get("name") or ""
    if name and (len(name) > _LABEL_MAX or not _DNS_1123.match(name)):
        yield wrong(f"{path}.name", name, "not a DNS 1123 label")
    if name in ("queue-proxy",):
        yield FieldError(f"{path}.name", f'"{name}" is a reserved container name: {path}.name')
    for field in ("lifecycle", "stdin", "stdinOnce", "tty", "volumeDevices"):
        if container.get(field):
            yield disallowed(f"{path}.{field}")
    for number, variable in enumerate(_of(container, "env")):
        yield from _variable(variable, f"{path}.env[{number}]", reserved)
    for number, source in enumerate(_of(container, "envFrom")):
        at = f"{path}.envFrom[{number}]"
        yield from _one_of(source, ("configMapRef", "secretRef"), at)
    policy = container.get("terminationMessagePolicy")
    if policy not in (None, "", "File", "FallbackToLogsOnError"):
        yield wrong(f"{path}.terminationMessagePolicy", policy)
    yield from _security(container.get("securityContext") or {}, f"{path}.securityContext")
    yield from _mounts(_of(container, "volumeMounts"), volumes, f"{path}.volumeMounts")


def _variable(variable: Wire, path: str, reserved: frozenset[str]) -> Faults:
    name = variable.get("name")
    if not name:
        yield missing(f"{path}.name")
    elif name in reserved:
        yield FieldError(
            f"{path}.name", f'"{name}" is a reserved environment variable: {path}.name'
        )


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


def _security(context: Wire, path: str) -> Faults:
    yield from _ids(context, path)
    for field in ("privileged", "seLinuxOptions", "procMount"):
        if context.get(field):
            yield disallowed(f"{path}.{field}")


def _ids(context: Wire, path: str) -> Faults:
    found = [(field, context.get(field)) for field in ("runAsUser", "runAsGroup", "fsGroup")]
    groups = context.get("supplementalGroups") or ()
    found += [(f"supplementalGroups[{number}]", group) for number, group in enumerate(groups)]
    for field, value in found:
        if value is not None and not 0 <= value <= _MAX_INT32:
            yield out_of_bounds(f"{path}.{field}", value, 0, _MAX_INT32)


# Probes


def _probes(container: Wire, port: Wire, path: str, *, serves: bool) -> Faults:
    for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
        if isinstance(probe := container.get(kind), dict):
            yield from _probe(probe, port, f"{path}.{kind}", serves=serves)
    if isinstance(readiness := container.get("readinessProbe"), dict):
        yield from _readiness(readiness, f"{path}.readinessProbe")


def _probe(probe: Wire, port: Wire, path: str, *, serves: bool) -> Faults:
    yield from _one_of(probe, _HANDLERS, path)
    for handler in ("httpGet", "tcpSocket"):
        if not isinstance(action := probe.get(handler), dict):
            continue
        wanted, at = action.get("port"), f"{path}.{handler}.port"
        if not serves and not wanted:
            yield wrong(at, "0", "Probe port must be specified")
        if serves and isinstance(wanted, str) and wanted not in ("", port.get("name") or "http"):
            yield wrong(at, wanted, "Probe port must match container port")


def _readiness(probe: Wire, path: str) -> Faults:
    period = probe.get("periodSeconds") or 0
    for field, low in (("periodSeconds", 0), ("initialDelaySeconds", 0), ("successThreshold", 1)):
        value = probe.get(field, low)
        if not low <= value <= _MAX_INT32:
            yield out_of_bounds(f"{path}.{field}", value, low, _MAX_INT32)
    for field in ("failureThreshold", "timeoutSeconds"):
        value = probe.get(field) or 0
        if period == 0 and value:
            said = f"{field} is disallowed when periodSeconds is zero: {path}.{field}"
            yield FieldError(f"{path}.{field}", said)
        elif period > 0 and value < 1:
            yield out_of_bounds(f"{path}.{field}", value, 1, _MAX_INT32)


# Volumes


def _volumes(volumes: list[Wire], mounted: set[Any], path: str) -> Faults:
    names = set()
    for number, volume in enumerate(volumes):
        at, name = f"{path}[{number}]", volume.get("name") or ""
        if name in names:
            yield FieldError(f"{at}.name", f'duplicate volume name "{name}": {at}.name')
        names.add(name)
        if not name:
            yield missing(f"{at}.name")
        elif len(name) > _LABEL_MAX or not _DNS_1123.match(name):
            yield wrong(f"{at}.name", name)
        elif name not in mounted:
            yield FieldError(f"{at}.name", f'volume with name "{name}" not mounted: {at}.name')
        yield from _one_of(volume, _VOLUMES, at)
        yield from _source(volume, at)


def _source(volume: Wire, path: str) -> Faults:
    for kind in ("secret", "configMap"):
        yield from _items(volume.get(kind), f"{path}.{kind}")
    if isinstance(projected := volume.get("projected"), dict):
        for number, part in enumerate(_of(projected, "sources")):
            at = f"{path}.projected[{number}]"
            yield from _one_of(part, _PROJECTIONS, at)
            for kind in ("secret", "configMap"):
                if isinstance(source := part.get(kind), dict) and not source.get("name"):
                    yield missing(f"{at}.{kind}.name")
                yield from _items(part.get(kind), f"{at}.{kind}")
    if isinstance(empty := volume.get("emptyDir"), dict):
        medium = empty.get("medium")
        if medium not in (None, "", "Memory"):
            yield wrong(f"{path}.emptyDir.medium", medium)
        if str(empty.get("sizeLimit") or "").startswith("-"):
            yield wrong(f"{path}.emptyDir.sizeLimit", empty["sizeLimit"])


def _items(source: Any, path: str) -> Faults:
    if isinstance(source, dict):
        for number, item in enumerate(_of(source, "items")):
            for field in ("key", "path"):
                if not item.get(field):
                    yield missing(f"{path}.items[{number}].{field}")


def _mounts(mounts: list[Wire], volumes: dict[str, Wire], path: str) -> Faults:
    seen: set[str] = set()
    for number, mount in enumerate(mounts):
        at, where = f"{path}[{number}]", str(mount.get("mountPath") or "")
        name, clean = str(mount.get("name")), normpath(where)
        volume = volumes.get(name)
        if volume is None:
            yield FieldError(f"{at}.name", f"volumeMount has no matching volume: {at}.name")
        if not where:
            yield missing(f"{at}.mountPath")
        elif clean in _RESERVED_PATHS:
            said = f'mountPath "{clean}" is a reserved path: {at}.mountPath'
            yield FieldError(f"{at}.mountPath", said)
        elif not isabs(where):
            yield wrong(f"{at}.mountPath", where)
        elif clean in seen:
            yield wrong(f"{at}.mountPath", f'"{where}" must be unique')
        seen.add(clean)
        if not mount.get("readOnly") and not any(kind in (volume or {}) for kind in _WRITABLE):
            said = f"volume mount should be readOnly for this type of volume: {at}.readOnly"
            yield FieldError(f"{at}.readOnly", said)
        if mount.get("mountPropagation"):
            said = "Volume Mount Propagation support is disabled, but found volume mount"
            yield FieldError(at, f"{said} {name} with mount propagation: {at}")
        claim = (volume or {}).get("persistentVolumeClaim") or {}
        if claim.get("readOnly") and not mount.get("readOnly"):
            said = f"volume is readOnly but volume mount is not: {at}.readOnly"
            yield FieldError(f"{at}.readOnly", said)


def _one_of(wire: Wire, fields: Iterable[str], path: str) -> Iterator[FieldError]:
    """Exactly one of the fields must be there."""
    found = [field for field in fields if wire.get(field) is not None]
    if len(found) != 1:
        names = ", ".join(f"{path}.{field}" for field in sorted(found or fields))
        said = "both" if found else "neither"
        yield FieldError(path, f"expected exactly one, got {said}: {names}")
