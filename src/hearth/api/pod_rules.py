"""What Kubernetes fills in for a pod, and what it holds one to.

Source: k8s.io/kubernetes pkg/apis/core/v1/defaults.go and pkg/apis/core/validation.
"""

from __future__ import annotations

import copy
import re

from hearth.api.accounts import with_account
from hearth.api.errors import FieldError
from hearth.api.meta import Wire, spec_of, status_of
from hearth.api.quantities import parse_quantity

_LABEL = re.compile(r"(?=.{1,63}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_LABEL_SAID = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_POD_MAY_CHANGE = ("activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations",
                   "nodeName", "ephemeralContainers")  # fmt: skip


def default_pod(wire: Wire, old: Wire | None = None) -> Wire:
    """Fill in what Kubernetes fills in for a pod."""
    spec = copy.deepcopy(spec_of(wire))
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("serviceAccountName", "default")
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("securityContext", {})
    for container in spec.get("containers") or ():
        container.setdefault("resources", {})
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        container.setdefault("imagePullPolicy", "IfNotPresent")
        for port in container.get("ports") or ():
            port.setdefault("protocol", "TCP")
    if not status_of(wire):  # it is new
        spec = with_account(spec)
    status = {"phase": "Pending", "qosClass": "BestEffort", **status_of(wire)}
    return {**wire, "spec": spec, "status": status}


def validate_pod(wire: Wire, old: Wire | None) -> list[FieldError]:
    """A pod has containers, each with a name and an image; its spec hardly ever changes."""
    if old is not None:
        return _pod_changes(spec_of(wire), spec_of(old))
    errors = []
    containers = spec_of(wire).get("containers") or []
    if not containers:
        errors.append(FieldError("spec.containers", "Required value", "FieldValueRequired"))
    seen = set()
    for number, container in enumerate(containers):
        path = f"spec.containers[{number}]"
        for name in ("name", "image"):
            if not container.get(name):
                errors.append(FieldError(f"{path}.{name}", "Required value", "FieldValueRequired"))
        if container.get("name") in seen:
            said = f'Duplicate value: "{container["name"]}"'
            errors.append(FieldError(f"{path}.name", said, "FieldValueDuplicate"))
        seen.add(container.get("name"))
    for kind in ("containers", "initContainers"):
        for number, container in enumerate(spec_of(wire).get(kind) or ()):
            errors += _container_faults(container, f"spec.{kind}[{number}]")
    return errors


def _container_faults(container: Wire, path: str) -> list[FieldError]:
    """A container's name is a label; what it asks for is within its limits."""
    errors, name = [], str(container.get("name") or "")
    if name and not _LABEL.match(name):
        said = f'Invalid value: "{name}": {_LABEL_SAID}'
        errors.append(FieldError(f"{path}.name", said))
    resources = container.get("resources") or {}
    limits, at = resources.get("limits") or {}, f"{path}.resources.requests"
    amounts = {}
    for bound in ("limits", "requests"):
        for kind, amount in (resources.get(bound) or {}).items():
            try:
                amounts[bound, kind] = parse_quantity(str(amount))
            except ValueError as error:
                said = f"Invalid value: {error}"
                errors.append(FieldError(f"{path}.resources.{bound}[{kind}]", said))
    for kind in limits:
        most, asked = amounts.get(("limits", kind)), amounts.get(("requests", kind))
        if most is not None and asked is not None and asked > most:
            wanted = resources["requests"][kind]
            said = f'Invalid value: "{wanted}": must be less than or equal to {kind} limit of '
            errors.append(FieldError(at, said + str(limits[kind])))
    return errors


def _pod_changes(new: Wire, old: Wire) -> list[FieldError]:
    def fixed(spec: Wire) -> Wire:
        kept = {k: v for k, v in spec.items() if k not in _POD_MAY_CHANGE}
        containers = [
            {k: v for k, v in c.items() if k not in ("image", "resources")}
            for c in spec.get("containers") or ()
        ]
        return {**kept, "containers": containers}

    if fixed(new) == fixed(old):
        return []
    said = "Forbidden: pod updates may not change fields other than the containers' image"
    return [FieldError("spec", said, "FieldValueForbidden")]
