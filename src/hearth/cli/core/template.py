"""The Service that a deployment asks for, as the change to what is there.

Only what the deployment was told is written: settings, environment and traffic that someone set
before, by whatever tool, stay.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hearth.api.kinds import SERVICE
from hearth.api.meta import Wire, spec_of, status_of
from hearth.api.names import (
    AUTOSCALING_PREFIX,
    CODE_ANNOTATION,
    CODE_DIGEST_ANNOTATION,
    LAYER_ANNOTATION,
    LAYER_DIGEST_ANNOTATION,
    USER_CONTAINER,
)


@dataclass(frozen=True, slots=True)
class Blob:
    """A package in the code store."""

    url: str
    digest: str  #: ``sha256:<hex>``


@dataclass(frozen=True, slots=True)
class Port:
    """Where the app listens, and whether it speaks HTTP/2 without TLS there."""

    number: int
    protocol: str = ""  #: ``h2c``, ``http1`` or empty


@dataclass(frozen=True, slots=True)
class Scale:
    """Knative's bounds on the number of pods; None leaves what is there."""

    minimum: int | None = None
    maximum: int | None = None
    initial: int | None = None

    def annotations(self) -> dict[str, str]:
        """The bounds as autoscaling annotations."""
        said = {"min-scale": self.minimum, "max-scale": self.maximum, "initial-scale": self.initial}
        return {AUTOSCALING_PREFIX + k: str(v) for k, v in said.items() if v is not None}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a deployment was told; None leaves what is there."""

    image: str
    code: Blob
    layer: Blob | None = None  #: None removes one that is there
    env: Mapping[str, str | None] = field(default_factory=dict)  #: None removes the variable
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    scale: Scale = field(default_factory=Scale)
    port: Port | None = None
    concurrency: int | None = None
    timeout_s: int | None = None
    revision_name: str = ""
    pin_traffic: bool = False  #: the new revision gets no traffic yet


def new_service(name: str, namespace: str, wanted: Wanted) -> Wire:
    """The Service to create."""
    changes = service_patch({}, wanted)
    return {
        "apiVersion": SERVICE.api_version,
        "kind": SERVICE.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": _without_nulls(changes["spec"]),
    }


def service_patch(existing: Wire, wanted: Wanted) -> Wire:
    """The merge patch that turns the existing Service into the wanted one.

    It holds the resourceVersion of ``existing``, because a list of containers can only be replaced
    whole: a write in between makes it a conflict.
    """
    template = spec_of(existing).get("template") or {}
    spec: Wire = {"containers": _containers(template.get("spec") or {}, wanted)}
    if wanted.concurrency is not None:
        spec["containerConcurrency"] = wanted.concurrency
    if wanted.timeout_s is not None:
        spec["timeoutSeconds"] = wanted.timeout_s
    meta = {"name": wanted.revision_name or None, "annotations": _annotations(wanted)}
    changes: Wire = {"spec": {"template": {"metadata": meta, "spec": spec}}}
    if wanted.pin_traffic:
        changes["spec"]["traffic"] = _pinned(existing)
    if version := (existing.get("metadata") or {}).get("resourceVersion"):
        changes["metadata"] = {"resourceVersion": version}
    return changes


def _annotations(wanted: Wanted) -> dict[str, str | None]:
    layer = wanted.layer
    return {
        **wanted.scale.annotations(),
        **wanted.annotations,
        CODE_ANNOTATION: wanted.code.url,
        CODE_DIGEST_ANNOTATION: wanted.code.digest,
        LAYER_ANNOTATION: layer.url if layer else None,
        LAYER_DIGEST_ANNOTATION: layer.digest if layer else None,
    }


def _containers(pod_spec: Wire, wanted: Wanted) -> list[Wire]:
    containers: list[Wire] = copy.deepcopy(pod_spec.get("containers") or [{"name": USER_CONTAINER}])
    serving = [c for c in containers if c.get("ports")] or containers
    _change(serving[0], wanted)
    return containers


def _change(container: Wire, wanted: Wanted) -> None:
    container["image"] = wanted.image
    if wanted.port is not None:
        name = {"name": wanted.port.protocol} if wanted.port.protocol else {}
        container["ports"] = [{**name, "containerPort": wanted.port.number}]
    if wanted.env:
        kept = [one for one in container.get("env") or () if one.get("name") not in wanted.env]
        given = [{"name": k, "value": v} for k, v in wanted.env.items() if v is not None]
        container["env"] = [*kept, *given]


def _pinned(existing: Wire) -> list[Wire]:
    """The traffic as it is, with the revision that is the latest now in place of "the latest"."""
    latest = status_of(existing).get("latestReadyRevisionName")
    traffic = []
    for target in spec_of(existing).get("traffic") or ():
        follows = not target.get("revisionName") and latest
        fixed = {"revisionName": latest, "latestRevision": False} if follows else {}
        traffic.append({**target, **fixed})
    return traffic


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return value
