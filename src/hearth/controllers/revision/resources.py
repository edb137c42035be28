"""The PooledReplicaSet of a Revision.

Differences from Knative's Deployment: no queue-proxy, so no hook that waits for it, and readiness
probes stay with the container; a port named ``h2c`` keeps its name, which tells the gateway to
speak HTTP/2.

Source: knative.dev/serving pkg/reconciler/revision/resources/{deploy,meta,env_var}.go.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from hearth.api.config import DeploymentConfig
from hearth.api.kinds import POOLED_REPLICA_SET
from hearth.api.meta import (
    Wire,
    annotations_of,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    spec_of,
    uid_of,
)
from hearth.api.names import (
    APP_LABEL,
    AUTOSCALING_PREFIX,
    CONFIGURATION_LABEL,
    REVISION_LABEL,
    REVISION_UID_LABEL,
    ROUTE_LABEL,
    ROUTES_ANNOTATION,
    ROUTING_STATE_LABEL,
    ROUTING_STATE_MODIFIED_ANNOTATION,
    SERVICE_LABEL,
)
from hearth.api.pods import container_port, user_container
from hearth.controllers.core.metadata import without

#: Knative's label for what its Deployment was made from: how a change of it is noticed.
HASH_LABEL = "serving.knative.dev/deployment-hash"
DEFAULT_CONTAINER_ANNOTATION = "kubectl.kubernetes.io/default-container"

_NO_CONFIG = DeploymentConfig()
_NO_PINS: Mapping[str, str] = MappingProxyType({})
_EXCLUDED_LABELS = (ROUTE_LABEL, ROUTING_STATE_LABEL)
_EXCLUDED_ANNOTATIONS = (
    "serving.knative.dev/lastPinned",
    "serving.knative.dev/no-gc",
    ROUTING_STATE_MODIFIED_ANNOTATION,
    ROUTES_ANNOTATION,
)
#: Fields of a revision's spec that are not a pod's.
_REVISION_FIELDS = (
    "containerConcurrency",
    "timeoutSeconds",
    "responseStartTimeoutSeconds",
    "idleTimeoutSeconds",
)


def make_replica_set(
    revision: Wire,
    replicas: int,
    config: DeploymentConfig = _NO_CONFIG,
    pins: Mapping[str, str] = _NO_PINS,
) -> Wire:
    """The PooledReplicaSet.

    Args:
        revision: whose.
        replicas: to begin with; later they are the autoscaler's.
        config: what it leaves open.
        pins: the images that its containers run instead of those they name, by their names.
    """
    labels = _labels(revision)
    annotations = _annotations(revision)
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": {REVISION_UID_LABEL: uid_of(revision)}},
        "template": {
            "metadata": {"labels": labels, "annotations": _pod_annotations(revision, annotations)},
            "spec": make_pod_spec(revision, config, pins),
        },
    }
    return {
        "apiVersion": POOLED_REPLICA_SET.api_version,
        "kind": POOLED_REPLICA_SET.kind,
        "metadata": {
            "name": name_of(revision),
            "namespace": namespace_of(revision),
            "ownerReferences": [owner_reference(revision)],
            "labels": {**labels, HASH_LABEL: _hash_of(labels, annotations, spec["template"])},
            "annotations": annotations,
        },
        "spec": spec,
    }


def brought_up_to_date(existing: Wire, desired: Wire) -> Wire | None:
    """The existing PooledReplicaSet with the desired template but its own replicas.

    Returns:
        None when it was made from the same template already.
    """
    if labels_of(existing).get(HASH_LABEL) == labels_of(desired)[HASH_LABEL]:
        return None
    meta = {
        **existing["metadata"],
        "labels": {**labels_of(existing), **labels_of(desired)},
        "annotations": {**annotations_of(existing), **annotations_of(desired)},
    }
    spec = {**spec_of(existing), "template": spec_of(desired)["template"]}
    return {**existing, "metadata": meta, "spec": spec}


def make_pod_spec(
    revision: Wire, config: DeploymentConfig = _NO_CONFIG, pins: Mapping[str, str] = _NO_PINS
) -> Wire:
    """The pod's spec: the revision's, with what the platform adds to it and its containers."""
    spec = spec_of(revision)
    pod = {name: copy.deepcopy(spec[name]) for name in spec if name not in _REVISION_FIELDS}
    containers = pod.get("containers") or []
    pod["containers"] = [
        _container(revision, container, serves=bool(container.get("ports")) or len(containers) == 1)
        for container in containers
    ]
    for container in (*pod["containers"], *(pod.get("initContainers") or ())):
        if pin := pins.get(str(container.get("name"))):
            container["image"] = pin
    if spec.get("timeoutSeconds"):
        pod["terminationGracePeriodSeconds"] = spec["timeoutSeconds"]
    if not pod.get("runtimeClassName"):
        sandbox = config.runtime_class_of(labels_of(revision))
        pod |= {"runtimeClassName": sandbox} if sandbox else {}
    if config.spreads and not pod.get("affinity"):
        pod["affinity"] = _spread(name_of(revision))
    return pod


def _spread(revision: str) -> Wire:
    """That its pods had better not be together on a node."""
    together = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": {REVISION_LABEL: revision}},
    }
    preferred = [{"weight": 100, "podAffinityTerm": together}]
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}


def _container(revision: Wire, container: Wire, *, serves: bool) -> Wire:
    made = {name: value for name, value in container.items() if name not in ("stdin", "tty")}
    env = list(made.get("env") or [])
    port = container_port(spec_of(revision))
    if serves:
        protocol = (user_container(spec_of(revision)).get("ports") or [{}])[0].get("name")
        name = "h2c" if protocol == "h2c" else "user-port"
        made["ports"] = [{"name": name, "containerPort": port, "protocol": "TCP"}]
        env.append({"name": "PORT", "value": str(port)})
    labels = labels_of(revision)
    env += [
        {"name": "K_REVISION", "value": name_of(revision)},
        {"name": "K_CONFIGURATION", "value": labels.get(CONFIGURATION_LABEL, "")},
        {"name": "K_SERVICE", "value": labels.get(SERVICE_LABEL, "")},
    ]
    made["env"] = env
    made.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
    if serves:
        _fill_probes(made, port)
    return made


def _fill_probes(container: Wire, port: int) -> None:
    """Give each probe its port, and the container a readiness probe, by TCP if it has none."""
    if not container.get("readinessProbe"):
        container["readinessProbe"] = {"successThreshold": 1, "tcpSocket": {}}
    for kind in ("readinessProbe", "livenessProbe", "startupProbe"):
        for handler in ("httpGet", "tcpSocket", "grpc"):
            asked: Any = (container.get(kind) or {}).get(handler)
            # Knative has liveness probes always ask the app's own port.
            if isinstance(asked, dict) and (not asked.get("port") or kind == "livenessProbe"):
                asked["port"] = port


def _labels(revision: Wire) -> dict[str, str]:
    name = name_of(revision)
    own = {REVISION_LABEL: name, REVISION_UID_LABEL: uid_of(revision)}
    return {APP_LABEL: name, **without(labels_of(revision), _EXCLUDED_LABELS), **own}


def _annotations(revision: Wire) -> dict[str, str]:
    said = without(annotations_of(revision), _EXCLUDED_ANNOTATIONS)
    return {name: value for name, value in said.items() if not name.startswith(AUTOSCALING_PREFIX)}


def _pod_annotations(revision: Wire, annotations: dict[str, str]) -> dict[str, str]:
    serving = user_container(spec_of(revision)).get("name")
    own = {DEFAULT_CONTAINER_ANNOTATION: str(serving)} if serving else {}
    return {**annotations, **own}


def _hash_of(*parts: Any) -> str:
    encoded = msgspec.json.encode(parts, order="deterministic")
    return hashlib.sha256(encoded).hexdigest()[:16]
