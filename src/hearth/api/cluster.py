"""Kubernetes' own Services and Endpoints, and what limits a namespace.

A Service here is a name for pods, not an address: nodes have no service proxy, so one that does not
ask for a cluster IP is headless.

Source: k8s.io/api/core/v1.
"""

from __future__ import annotations

from hearth.api.core import Object
from hearth.api.errors import FieldError
from hearth.api.kinds import CORE_SERVICE, ENDPOINTS, LIMIT_RANGE, RESOURCE_QUOTA
from hearth.api.meta import Wire, spec_of, status_of
from hearth.api.podspec import FreeForm
from hearth.api.quantities import parse_quantity
from hearth.api.registry import Column, Resource, at

_TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
_LIMITS = ("default", "defaultRequest", "max", "min", "maxLimitRequestRatio")


class Service(Object, frozen=True):
    """A name for pods."""

    spec: FreeForm | None = None
    status: FreeForm | None = None


class Endpoints(Object, frozen=True):
    """Where a Service's pods are."""

    subsets: list[FreeForm] | None = None


class ResourceQuota(Object, frozen=True):
    """What a namespace may have at most."""

    spec: FreeForm | None = None
    status: FreeForm | None = None


class LimitRange(Object, frozen=True):
    """What one pod or container may ask for, and gets when it does not ask."""

    spec: FreeForm | None = None


def _default_service(wire: Wire, old: Wire | None = None) -> Wire:
    spec = {"sessionAffinity": "None", "type": "ClusterIP", **spec_of(wire)}
    if spec["type"] != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
        spec.setdefault("clusterIP", "None")
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
    ports = [
        {"protocol": "TCP", "targetPort": port.get("port"), **port}
        for port in spec.get("ports") or ()
    ]
    if ports:
        spec["ports"] = ports
    return {**wire, "spec": spec, "status": {"loadBalancer": {}, **status_of(wire)}}


def _service(wire: Wire, old: Wire | None) -> list[FieldError]:
    spec, errors = spec_of(wire), []
    kind = spec.get("type")
    if kind not in _TYPES:
        known = ", ".join(f'"{one}"' for one in sorted(_TYPES))
        said = f'Unsupported value: "{kind}": supported values: {known}'
        errors.append(FieldError("spec.type", said, "FieldValueNotSupported"))
    if kind == "ExternalName" and not spec.get("externalName"):
        errors.append(FieldError("spec.externalName", "Required value", "FieldValueRequired"))
    ports = spec.get("ports") or ()
    if kind != "ExternalName" and not ports and spec.get("clusterIP") != "None":
        errors.append(FieldError("spec.ports", "Required value", "FieldValueRequired"))
    for number, port in enumerate(ports):
        value, path = port.get("port"), f"spec.ports[{number}]"
        if not isinstance(value, int) or not 0 < value < 65536:
            said = f"Invalid value: {value}: must be between 1 and 65535, inclusive"
            errors.append(FieldError(f"{path}.port", said))
        if len(ports) > 1 and not port.get("name"):
            errors.append(FieldError(f"{path}.name", "Required value", "FieldValueRequired"))
    before = spec_of(old or {}).get("clusterIP")
    if before and before != "None" and spec.get("clusterIP") != before and kind != "ExternalName":
        errors.append(FieldError("spec.clusterIP", "Invalid value: field is immutable"))
    return errors


def _ports(wire: Wire) -> str:
    def each(port: Wire) -> str:
        own = f":{port['nodePort']}" if port.get("nodePort") else ""
        return f"{port.get('port')}{own}/{port.get('protocol')}"

    return ",".join(map(each, spec_of(wire).get("ports") or ()))


def _external(wire: Wire) -> str:
    balancer = status_of(wire).get("loadBalancer") or {}
    places = [str(one.get("ip") or one.get("hostname")) for one in balancer.get("ingress") or ()]
    return ",".join(places) or spec_of(wire).get("externalName") or "<none>"


def _selector(wire: Wire) -> str:
    found = spec_of(wire).get("selector") or {}
    return ",".join(f"{k}={v}" for k, v in sorted(found.items())) or "<none>"


def _endpoints(wire: Wire) -> str:
    found = [
        f"{address.get('ip')}:{port.get('port')}"
        for subset in wire.get("subsets") or ()
        for address in subset.get("addresses") or ()
        for port in subset.get("ports") or ({"port": ""},)
    ]
    return ",".join(found) or "<none>"


def _quantities(path: str, found: object) -> list[FieldError]:
    errors = []
    for name, value in (found if isinstance(found, dict) else {}).items():
        try:
            parse_quantity(str(value))
        except ValueError as error:
            errors.append(FieldError(f"{path}[{name}]", f"Invalid value: {error}"))
    return errors


def _quota(wire: Wire, old: Wire | None) -> list[FieldError]:
    return _quantities("spec.hard", spec_of(wire).get("hard"))


def _limits(wire: Wire, old: Wire | None) -> list[FieldError]:
    return [
        error
        for number, limit in enumerate(spec_of(wire).get("limits") or ())
        for name in _LIMITS
        for error in _quantities(f"spec.limits[{number}].{name}", limit.get(name))
    ]


def _used(which: tuple[str, ...]) -> Column:
    def read(wire: Wire) -> str:
        hard, used = spec_of(wire).get("hard") or {}, status_of(wire).get("used") or {}
        wanted = [n for n in sorted(hard) if n.startswith("limits.") == ("limits." in which)]
        return ", ".join(f"{name}: {used.get(name, 0)}/{hard[name]}" for name in wanted)

    return Column("Limit" if "limits." in which else "Request", read)


RESOURCES = (
    Resource(
        CORE_SERVICE, Service, "service", ("svc",), ("all",), frozenset({"status"}),
        (
            Column("Type", at("spec", "type")),
            Column("Cluster-IP", lambda w: spec_of(w).get("clusterIP") or "<none>"),
            Column("External-IP", _external),
            Column("Port(s)", _ports),
            Column("Selector", _selector, priority=1),
        ),
        _default_service, _service, name_pattern="dns-1035-label",
    ),
    Resource(
        ENDPOINTS, Endpoints, "endpoints", ("ep",), (), frozenset(),
        (Column("Endpoints", _endpoints),),
    ),
    Resource(
        RESOURCE_QUOTA, ResourceQuota, "resourcequota", ("quota",), (), frozenset({"status"}),
        (_used(("",)), _used(("limits.",))), validate=_quota,
    ),
    Resource(
        LIMIT_RANGE, LimitRange, "limitrange", ("limits",), (), frozenset(), (), validate=_limits,
    ),
)  # fmt: skip
