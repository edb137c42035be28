"""The kinds of Kubernetes' own groups that we serve."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from msgspec import field

from hearth.api import podtable
from hearth.api.errors import FieldError
from hearth.api.kinds import (
    CONFIG_MAP,
    CORE_EVENT,
    EVENT,
    LEASE,
    NAMESPACE,
    NODE,
    POD,
    RUNTIME_CLASS,
    SECRET,
    SERVICE_ACCOUNT,
)
from hearth.api.meta import Wire, labels_of, spec_of, status_of
from hearth.api.pod_rules import default_pod, validate_pod
from hearth.api.podsecurity import label_faults
from hearth.api.podspec import FreeForm, PodSpec, Quantities
from hearth.api.registry import Column, Resource, at, condition, plain_fields
from hearth.api.views import Condition, LocalObjectReference, ObjectMeta, ObjectReference, View


class Object(View, frozen=True):
    """Base of whole objects."""

    api_version: str | None = None
    kind: str | None = None
    metadata: ObjectMeta | None = None


class PodStatus(View, frozen=True):
    """What became of a pod."""

    observed_generation: int | None = None
    phase: str | None = None
    conditions: list[Condition] | None = None
    message: str | None = None
    reason: str | None = None
    nominated_node_name: str | None = None
    host_ip: str | None = field(name="hostIP", default=None)
    host_ips: list[FreeForm] | None = field(name="hostIPs", default=None)
    pod_ip: str | None = field(name="podIP", default=None)
    pod_ips: list[FreeForm] | None = field(name="podIPs", default=None)
    start_time: str | None = None
    init_container_statuses: list[FreeForm] | None = None
    container_statuses: list[FreeForm] | None = None
    ephemeral_container_statuses: list[FreeForm] | None = None
    qos_class: str | None = None
    resize: str | None = None
    resource_claim_statuses: list[FreeForm] | None = None


class Pod(Object, frozen=True):
    """Containers that run together on a node."""

    spec: PodSpec | None = None
    status: PodStatus | None = None


class Namespace(Object, frozen=True):
    """A scope for names."""

    spec: FreeForm | None = None
    status: FreeForm | None = None


class NodeStatus(View, frozen=True):
    """What a node has and how it is."""

    capacity: Quantities | None = None
    allocatable: Quantities | None = None
    phase: str | None = None
    conditions: list[Condition] | None = None
    addresses: list[FreeForm] | None = None
    daemon_endpoints: FreeForm | None = None
    node_info: FreeForm | None = None
    images: list[FreeForm] | None = None
    volumes_in_use: list[str] | None = None
    volumes_attached: list[FreeForm] | None = None
    config: FreeForm | None = None
    runtime_handlers: list[FreeForm] | None = None
    features: FreeForm | None = None


class Node(Object, frozen=True):
    """A machine that runs pods."""

    spec: FreeForm | None = None
    status: NodeStatus | None = None


class Secret(Object, frozen=True):
    """Data that only its readers may see."""

    immutable: bool | None = None
    data: dict[str, str] | None = None
    string_data: dict[str, str] | None = None
    type: str | None = None


class ConfigMap(Object, frozen=True):
    """Settings."""

    immutable: bool | None = None
    data: dict[str, str] | None = None
    binary_data: dict[str, str] | None = None


class RuntimeClass(Object, frozen=True):
    """Which of a node's container runtimes runs a pod, such as a sandbox."""

    handler: str | None = None
    overhead: FreeForm | None = None
    scheduling: FreeForm | None = None


class ServiceAccount(Object, frozen=True):
    """Whom a pod acts as."""

    secrets: list[ObjectReference] | None = None
    image_pull_secrets: list[LocalObjectReference] | None = None
    automount_service_account_token: bool | None = None


class CoreEvent(Object, frozen=True):
    """What happened to an object."""

    involved_object: ObjectReference | None = None
    reason: str | None = None
    message: str | None = None
    source: FreeForm | None = None
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    count: int | None = None
    type: str | None = None
    event_time: str | None = None
    series: FreeForm | None = None
    action: str | None = None
    related: ObjectReference | None = None
    reporting_component: str | None = None
    reporting_instance: str | None = None


class Event(Object, frozen=True):
    """What happened to an object (events.k8s.io)."""

    event_time: str | None = None
    series: FreeForm | None = None
    reporting_controller: str | None = None
    reporting_instance: str | None = None
    action: str | None = None
    reason: str | None = None
    regarding: ObjectReference | None = None
    related: ObjectReference | None = None
    note: str | None = None
    type: str | None = None
    deprecated_source: FreeForm | None = None
    deprecated_first_timestamp: str | None = None
    deprecated_last_timestamp: str | None = None
    deprecated_count: int | None = None


class Lease(Object, frozen=True):
    """Who holds something, and since when."""

    spec: FreeForm | None = None


def pod_fields(wire: Wire) -> Mapping[str, str]:
    """What pods can be selected by."""
    spec, status = spec_of(wire), status_of(wire)
    return {
        **plain_fields(wire),
        "spec.nodeName": spec.get("nodeName") or "",
        "spec.restartPolicy": spec.get("restartPolicy") or "",
        "spec.serviceAccountName": spec.get("serviceAccountName") or "",
        "status.phase": status.get("phase") or "",
        "status.podIP": status.get("podIP") or "",
    }


def secret_fields(wire: Wire) -> Mapping[str, str]:
    """What secrets can be selected by."""
    return {**plain_fields(wire), "type": wire.get("type") or ""}


def event_fields(wire: Wire) -> Mapping[str, str]:
    """What events can be selected by."""
    about = wire.get("involvedObject") or wire.get("regarding") or {}
    names = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
    found = {f"involvedObject.{name}": str(about.get(name) or "") for name in names}
    found |= {f"regarding.{name}": str(about.get(name) or "") for name in names}
    own = {name: str(wire.get(name) or "") for name in ("reason", "type", "reportingComponent")}
    source = {"source": str((wire.get("source") or {}).get("component") or "")}
    return {**plain_fields(wire), **found, **own, **source}


def default_secret(wire: Wire, old: Wire | None = None) -> Wire:
    """``stringData`` becomes ``data``, the type Opaque."""
    changed = {**wire, "type": wire.get("type") or "Opaque"}
    plain = changed.pop("stringData", None)
    if plain:
        encoded = {k: base64.b64encode(v.encode()).decode() for k, v in plain.items()}
        changed["data"] = {**(changed.get("data") or {}), **encoded}
    return changed


def default_namespace(wire: Wire, old: Wire | None = None) -> Wire:
    """A namespace is Active, has its own name as a label, and is emptied before it goes."""
    meta = dict(wire.get("metadata") or {})
    name = meta.get("name")
    labels = {**(meta.get("labels") or {})}
    if name:
        labels.setdefault("kubernetes.io/metadata.name", name)
    spec = {"finalizers": ["kubernetes"], **(wire.get("spec") or {})}
    status = {"phase": "Active", **(wire.get("status") or {})}
    return {**wire, "metadata": {**meta, "labels": labels}, "spec": spec, "status": status}


def validate_namespace(wire: Wire, old: Wire | None) -> list[FieldError]:
    """A namespace's Pod Security labels have values that are known."""
    return label_faults(labels_of(wire))


def _node_state(wire: Wire) -> str:
    ready = condition("Ready", "status")(wire)
    said = {"True": "Ready", "False": "NotReady"}.get(ready, "Unknown")
    return said + (",SchedulingDisabled" if spec_of(wire).get("unschedulable") else "")


def _address(wire: Wire) -> Any:
    for one in status_of(wire).get("addresses") or ():
        if one.get("type") == "InternalIP":
            return one.get("address")
    return None


def _involved(wire: Wire) -> str:
    about = wire.get("involvedObject") or wire.get("regarding") or {}
    return f"{str(about.get('kind') or '').lower()}/{about.get('name') or ''}"


_EVENT_COLUMNS = (
    Column("Last Seen", lambda w: w.get("lastTimestamp") or w.get("eventTime"), "date"),
    Column("Type", at("type")),
    Column("Reason", at("reason")),
    Column("Object", _involved),
    Column("Message", lambda w: w.get("message") or w.get("note")),
)

RESOURCES = (
    Resource(
        POD, Pod, "pod", ("po",), ("all",), frozenset({"status"}),
        (
            Column("Ready", podtable.ready_containers),
            Column("Status", podtable.state),
            Column("Restarts", podtable.restarts, "integer"),
            Column("IP", at("status", "podIP"), priority=1),
            Column("Node", at("spec", "nodeName"), priority=1),
        ),
        default_pod, validate_pod, pod_fields,
    ),
    Resource(
        NAMESPACE, Namespace, "namespace", ("ns",), (), frozenset({"status"}),
        (Column("Status", at("status", "phase")),), default_namespace, validate_namespace,
        name_pattern="dns-1123-label",
    ),
    Resource(
        NODE, Node, "node", ("no",), (), frozenset({"status"}),
        (
            Column("Status", _node_state),
            Column("Roles", lambda w: "<none>"),
            Column("Version", at("status", "nodeInfo", "kubeletVersion")),
            Column("Internal-IP", _address, priority=1),
            Column("OS-Image", at("status", "nodeInfo", "osImage"), priority=1),
            Column("Container-Runtime", at("status", "nodeInfo", "containerRuntimeVersion"),
                   priority=1),
        ),
    ),
    Resource(
        SECRET, Secret, "secret", (), (), frozenset(),
        (Column("Type", at("type")),
         Column("Data", lambda w: len(w.get("data") or ()), "integer")), default_secret,
        fields=secret_fields,
    ),
    Resource(
        CONFIG_MAP, ConfigMap, "configmap", ("cm",), (), frozenset(),
        (Column("Data", lambda w: len(w.get("data") or ()) + len(w.get("binaryData") or ()),
                "integer"),),
    ),
    Resource(
        SERVICE_ACCOUNT, ServiceAccount, "serviceaccount", ("sa",), (), frozenset(),
        (Column("Secrets", lambda w: len(w.get("secrets") or ()), "integer"),),
    ),
    Resource(CORE_EVENT, CoreEvent, "event", ("ev",), (), frozenset(), _EVENT_COLUMNS,
             fields=event_fields),
    Resource(EVENT, Event, "event", ("ev",), (), frozenset(), _EVENT_COLUMNS, fields=event_fields),
    Resource(
        RUNTIME_CLASS, RuntimeClass, "runtimeclass", (), (), frozenset(),
        (Column("Handler", at("handler")),),
    ),
    Resource(
        LEASE, Lease, "lease", (), (), frozenset(),
        (Column("Holder", at("spec", "holderIdentity")),),
    ),
)  # fmt: skip
