"""Looks for what is missing or wrong on a cluster, before and after installation."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec

from hearth.api.errors import ApiError, Forbidden, NotFound
from hearth.api.kinds import (
    CLUSTER_ROLE,
    CORE_SERVICE,
    CUSTOM_RESOURCE_DEFINITION,
    DEPLOYMENT,
    NAMESPACE,
    POD,
    SELF_SUBJECT_ACCESS_REVIEW,
    STORAGE_CLASS,
    Kind,
)
from hearth.api.meta import Wire, annotations_of, labels_of, name_of, spec_of, status_of
from hearth.api.names import (
    CONTROLLER_ACCOUNT,
    GATEWAY_ACCOUNT,
    KNATIVE_NAMESPACE,
    SYSTEM_NAMESPACE,
)
from hearth.client import Client
from hearth.client.client import read_all
from hearth.install.objects import PART_OF

OLDEST, NEWEST = (1, 33), (1, 35)  #: Kubernetes that we are tested with, or mean to be
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_WANTED = (CUSTOM_RESOURCE_DEFINITION, CLUSTER_ROLE, NAMESPACE, DEPLOYMENT)


class Unanswered(Exception):
    """The cluster did not do what it was asked, in time."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    says: str
    is_fault: bool = False  #: it does not work so; otherwise it is good, or something is lacking
    mend: str = ""  #: how; empty when nothing is to be done


async def check(client: Client) -> list[Finding]:
    """Everything that can be said, faults included, in the order in which to mend them.

    Raises:
        ConnectionError: the cluster does not answer.
    """
    return [finding async for finding in _look(client)]


async def _look(client: Client) -> AsyncIterator[Finding]:
    yield await _version(client)
    yield await _rights(client)
    yield await _knative(client)
    yield await _metrics(client)
    yield await _storage(client)
    if await _find(client, NAMESPACE, "", SYSTEM_NAMESPACE) is None:
        yield Finding("installation", "none", mend="hearth install")
        return
    for name in (CONTROLLER_ACCOUNT, GATEWAY_ACCOUNT):
        yield await _deployment(client, name)
    yield await _balancer(client)


async def _version(client: Client) -> Finding:
    answer = await client.raw("GET", "/version")
    version = str(msgspec.json.decode(await read_all(answer)).get("gitVersion"))
    if version.endswith("+hearth"):
        said = f"{version} is Hearth's own API server, which needs no installation"
        return Finding("Kubernetes", said, is_fault=True, mend="name a cluster with --context")
    found = re.match(r"v(\d+)\.(\d+)", version)
    number = (int(found[1]), int(found[2])) if found else (0, 0)
    supported = f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    if number < OLDEST:
        said = f"{version} is too old, expected {supported}"
        return Finding("Kubernetes", said, is_fault=True, mend="upgrade the cluster")
    if number > NEWEST:
        return Finding("Kubernetes", f"{version} is newer than we know ({supported})")
    return Finding("Kubernetes", version)


async def _rights(client: Client) -> Finding:
    lacking = [str(kind) for kind in _WANTED if not await _may(client, kind)]
    if lacking:
        said = f"you may not create {', '.join(lacking)}"
        return Finding("rights", said, is_fault=True, mend="use an administrator's context")
    return Finding("rights", "you may create what an installation consists of")


async def _may(client: Client, kind: Kind) -> bool:
    namespace = {"namespace": SYSTEM_NAMESPACE} if kind.namespaced else {}
    asked = {"verb": "create", "group": kind.group, "resource": kind.plural, **namespace}
    review = {
        "apiVersion": SELF_SUBJECT_ACCESS_REVIEW.api_version,
        "kind": SELF_SUBJECT_ACCESS_REVIEW.kind,
        "spec": {"resourceAttributes": asked},
    }
    answer = await client.create(SELF_SUBJECT_ACCESS_REVIEW, review)
    return bool(status_of(answer).get("allowed"))


async def _knative(client: Client) -> Finding:
    """Two controllers of one kind would undo each other's work."""
    running = await _find(client, DEPLOYMENT, KNATIVE_NAMESPACE, "controller")
    if running is not None and spec_of(running).get("replicas", 1):
        said = f"deployment {KNATIVE_NAMESPACE}/controller looks after the same objects"
        mend = "scale Knative Serving's deployments to 0, or remove it"
        return Finding("Knative", said, is_fault=True, mend=mend)
    name = "services.serving.knative.dev"
    crd = await _find(client, CUSTOM_RESOURCE_DEFINITION, "", name)
    if crd is not None and not PART_OF.items() <= labels_of(crd).items():
        said = f"{name} was defined by another, and will be ours"
        return Finding("Knative", said)
    return Finding("Knative", "nobody else looks after its kinds")


async def _metrics(client: Client) -> Finding:
    try:
        await client.raw("GET", "/apis/metrics.k8s.io/v1beta1")
    except ApiError:
        said = "not served: nothing scales by CPU or memory (class hpa.autoscaling.knative.dev)"
        return Finding("pod metrics", said, mend="install metrics-server")
    return Finding("pod metrics", "served")


async def _storage(client: Client) -> Finding:
    try:
        classes = (await client.list(STORAGE_CLASS)).items
    except ApiError as error:
        return Finding("storage", str(error))
    if any(annotations_of(each).get(_DEFAULT_CLASS) == "true" for each in classes):
        return Finding("storage", "there is a default class")
    said = "no default class: apps that claim volumes must name one"
    return Finding("storage", said, mend=f"annotate a StorageClass with {_DEFAULT_CLASS}=true")


async def _deployment(client: Client, name: str) -> Finding:
    found = await _find(client, DEPLOYMENT, SYSTEM_NAMESPACE, name)
    if found is None:
        return Finding(name, "is not there", is_fault=True, mend="hearth install")
    wanted, ready = spec_of(found).get("replicas", 1), status_of(found).get("readyReplicas") or 0
    if ready >= wanted:
        return Finding(name, f"{ready} of {wanted} ready")
    why = await trouble_of_pods(client, name)
    said = f"{ready} of {wanted} ready{f': {why}' if why else ''}"
    mend = f"kubectl -n {SYSTEM_NAMESPACE} describe pods; kubectl logs deploy/{name}"
    return Finding(name, said, is_fault=True, mend=mend)


async def trouble_of_pods(client: Client, name: str) -> str:
    """What the first container that does not run says."""
    selector = f"app.kubernetes.io/name={name}"
    for pod in (await client.list(POD, SYSTEM_NAMESPACE, label_selector=selector)).items:
        for status in status_of(pod).get("containerStatuses") or ():
            waiting = (status.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") not in (None, "ContainerCreating"):
                return f"{waiting['reason']}: {waiting.get('message') or ''}".rstrip(": ")
        for condition in status_of(pod).get("conditions") or ():
            if condition.get("reason") == "Unschedulable":
                return f"Unschedulable: {condition.get('message')}"
    return ""


async def _balancer(client: Client) -> Finding:
    service = await _find(client, CORE_SERVICE, SYSTEM_NAMESPACE, GATEWAY_ACCOUNT)
    if service is None:
        return Finding("address", "none", is_fault=True, mend="hearth install")
    spec = spec_of(service)
    given = (status_of(service).get("loadBalancer") or {}).get("ingress") or ()
    addresses = [str(one.get("ip") or one.get("hostname")) for one in given]
    if addresses:
        return Finding("address", f"http://{addresses[0]}")
    inside = f"http://{spec.get('clusterIP')} from inside"
    if spec.get("type") != "LoadBalancer":
        return Finding("address", inside)
    ports = {port["name"]: port.get("nodePort") for port in spec.get("ports") or ()}
    said = f"{inside}, port {ports.get('http')} of each node; no load balancer gave one"
    return Finding("address", said, mend="install a load balancer, or --service-type NodePort")


async def _find(client: Client, kind: Kind, namespace: str, name: str) -> Wire | None:
    try:
        found = await client.get(kind, namespace, name)
    except (NotFound, Forbidden):
        return None
    return found if name_of(found) else None
