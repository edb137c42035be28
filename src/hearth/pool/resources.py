"""The pods that pools and sets make: pure builders."""

from __future__ import annotations

import copy
from typing import Any

from hearth.api.accounts import with_account
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
    CLAIMED_AT_ANNOTATION,
    CLAIMED_FROM_ANNOTATION,
    CONTROL_PORT,
    DEPLOYMENT_SUFFIX,
    OWN_POD_LABEL,
    PODPOOL_LABEL,
    PYTHON_RUNTIME_IMAGE,
    SYSTEM_NAMESPACE,
    USER_CONTAINER,
    USER_PORT,
)
from hearth.api.naming import child_name
from hearth.loader.protocol import PRELOAD_VARIABLE, SECRET_DIGEST_VARIABLE
from hearth.pool.core.scaling import TEMPLATE_HASH_ANNOTATION, hash_template

_NAME_MAX, _RANDOM = 63, 5  #: characters of a pod's name, and those of them that are random
READINESS_PERIOD_S = 1  #: a kubelet's least
_OWN = {OWN_POD_LABEL: "true"}
#: Asked until it is so, and never again: once claimed, the loader's port is closed.
_LOADER_LISTENS = {"tcpSocket": {"port": CONTROL_PORT}, "periodSeconds": 1, "failureThreshold": 60}
DEFAULT_LEVEL = 4  #: of the default pool: a handful of apps may wake at once


def make_warm_pod(pool: Wire, name: str, secret_digest: str, *, kubelets: bool = False) -> Wire:
    """A pod of the pool, to be claimed later; ``kubelets`` must be told when it is warm."""
    template = spec_of(pool).get("template") or {}
    spec = copy.deepcopy(spec_of(template))
    preload = ",".join(spec_of(pool).get("preload") or ())
    own = {SECRET_DIGEST_VARIABLE: secret_digest, PRELOAD_VARIABLE: preload}
    for container in spec.get("containers") or ():
        container["env"] = [
            *(container.get("env") or ()),
            *({"name": key, "value": value} for key, value in own.items() if value),
        ]
        if kubelets:
            container.setdefault("startupProbe", _LOADER_LISTENS)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace_of(pool),
            "labels": {**labels_of(template), PODPOOL_LABEL: name_of(pool), **_OWN},
            "annotations": {
                **annotations_of(template),
                TEMPLATE_HASH_ANNOTATION: hash_template(pool),
            },
            "ownerReferences": [owner_reference(pool)],
        },
        "spec": {**spec, "restartPolicy": "Never"},
    }


def fallback_name(replica_set: Wire, random: str) -> str:
    """A name for an ordinary pod, as Kubernetes gives one to a pod of Knative's Deployment."""
    base = child_name(name_of(replica_set), DEPLOYMENT_SUFFIX) + "-"
    return base[: _NAME_MAX - _RANDOM] + random[:_RANDOM]


def make_fallback_pod(replica_set: Wire, name: str) -> Wire:
    """An ordinary pod of the set."""
    template = spec_of(replica_set).get("template") or {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace_of(replica_set),
            "labels": {**labels_of(template), **_OWN},
            "annotations": dict(annotations_of(template)),
            "ownerReferences": [owner_reference(replica_set)],
        },
        "spec": copy.deepcopy(spec_of(template)),
    }


def probed_often(pod: Wire) -> Wire:
    """The pod, its readiness asked every second: a kubelet does so every ten unless it is told."""
    containers = [
        {**one, "readinessProbe": {"periodSeconds": READINESS_PERIOD_S, **one["readinessProbe"]}}
        if one.get("readinessProbe")
        else one
        for one in spec_of(pod).get("containers") or ()
    ]
    return {**pod, "spec": {**spec_of(pod), "containers": containers}}


def make_adoption(replica_set: Wire, pool: str, at: str) -> Wire:
    """The metadata by which a set adopts a warm pod, and the time that its app has to end."""
    template = spec_of(replica_set).get("template") or {}
    grace = spec_of(template).get("terminationGracePeriodSeconds")
    claim = {CLAIMED_FROM_ANNOTATION: pool, CLAIMED_AT_ANNOTATION: at}
    return {
        "metadata": {
            "namespace": namespace_of(replica_set),
            "labels": {**labels_of(template), **_OWN},
            "annotations": {**annotations_of(template), **claim},
            "ownerReferences": [owner_reference(replica_set)],
        },
        **({"spec": {"terminationGracePeriodSeconds": grace}} if grace is not None else {}),
    }


def adopted_in_place(pod: Wire, adoption: Wire) -> Wire:
    """The patch by which a set adopts a warm pod of its own namespace."""
    meta = adoption["metadata"]
    labels = {PODPOOL_LABEL: None, **meta["labels"]}
    same = {"uid": uid_of(pod)}  # or it is another pod by now
    return {"metadata": {**same, **meta, "namespace": namespace_of(pod), "labels": labels}}


def make_claimed(replica_set: Wire, pod: Wire) -> Wire:
    """A warm pod as it will be once the set has adopted it, with the spec that the set asks for."""
    template = spec_of(replica_set).get("template") or {}
    node = {"nodeName": spec_of(pod).get("nodeName")}
    return {
        **pod,
        "metadata": {
            "name": name_of(pod),
            "namespace": namespace_of(replica_set),
            "uid": uid_of(pod),
            "labels": dict(labels_of(template)),
            "annotations": {**annotations_of(pod), **annotations_of(template)},
        },
        "spec": {**with_account(spec_of(template)), **node},
    }


def make_default_pool(level: int) -> Wire:
    """The pool that every platform starts with."""
    container: dict[str, Any] = {
        "name": USER_CONTAINER,
        "image": PYTHON_RUNTIME_IMAGE,
        "ports": [{"containerPort": USER_PORT}],
    }
    return {
        "apiVersion": "hearth.dev/v1alpha1",
        "kind": "PodPool",
        "metadata": {"name": "python", "namespace": SYSTEM_NAMESPACE},
        "spec": {
            "replicas": level,
            "preload": ["flask"],
            "template": {"spec": {"containers": [container]}},
        },
    }
