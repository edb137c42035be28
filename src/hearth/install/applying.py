"""Puts manifests on a cluster, waits for them, and takes them away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from hearth.api import kinds
from hearth.api.errors import ApiError, InternalError, NotFound
from hearth.api.kinds import (
    CUSTOM_RESOURCE_DEFINITION,
    DEPLOYMENT,
    MUTATING_WEBHOOKS,
    NAMESPACE,
    POD_DISRUPTION_BUDGET,
    SERVICE,
    VALIDATING_WEBHOOKS,
    Kind,
)
from hearth.api.meta import (
    Wire,
    generation_of,
    is_condition_true,
    name_of,
    namespace_of,
    spec_of,
    status_of,
)
from hearth.api.names import KNATIVE_NAMESPACE, SYSTEM_NAMESPACE
from hearth.client import Client
from hearth.install.checking import Unanswered, trouble_of_pods

_LOOK_EVERY_S = 0.25
_KINDS = {
    (kind.api_version, kind.kind): kind
    for kind in (
        *kinds.ALL, CUSTOM_RESOURCE_DEFINITION, MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS,
        POD_DISRUPTION_BUDGET,
    )
}  # fmt: skip
_HOOKS = (MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS)
#: Called with an object and what was done to it.
Tell = Callable[[Wire, str], None]


def kind_of(wire: Wire) -> Kind:
    """The kind of a manifest."""
    return _KINDS[wire["apiVersion"], wire["kind"]]


async def apply(client: Client, manifests: Iterable[Wire], tell: Tell) -> None:
    """Apply each in turn, owned by the client's field manager.

    Raises:
        ApiError: the cluster refuses one; those before it are there.
    """
    for wire in manifests:
        await client.apply(kind_of(wire), wire)
        tell(wire, "applied")


async def wait_ready(client: Client, manifests: Iterable[Wire], timeout_s: float) -> list[str]:
    """Wait until kinds are served, Deployments available and webhooks answer.

    Returns:
        What is not ready when the time is over, each with what it says; empty when all is.
    """
    waiting = [wire for wire in manifests if kind_of(wire) in _READINESS]
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        faults = {name_of(wire): await _fault(client, wire) for wire in waiting}
        waiting = [wire for wire in waiting if faults[name_of(wire)]]
        says = [f"{wire['kind']} {name_of(wire)}: {faults[name_of(wire)]}" for wire in waiting]
        if not waiting and not (fault := await _admission_fault(client)):
            return []
        if asyncio.get_running_loop().time() > deadline:
            return says or [f"webhooks: {fault}"]
        await asyncio.sleep(_LOOK_EVERY_S)


async def _admission_fault(client: Client) -> str:
    """Why the API server cannot ask about a Service; empty when it can.

    A pod that is ready is reached through its Service a moment later.
    """
    tried: Wire = {
        "apiVersion": SERVICE.api_version,
        "kind": SERVICE.kind,
        "metadata": {"name": "hearth-check", "namespace": SYSTEM_NAMESPACE},
        "spec": {"template": {"spec": {"containers": [{"image": "hearth.dev/check"}]}}},
    }
    try:
        await client.create(SERVICE, tried, dry_run=True)
    except InternalError as error:
        return error.message
    except ApiError:
        return ""  # it was asked about
    return ""


async def _fault(client: Client, wire: Wire) -> str:
    """Why the object is not ready; empty when it is."""
    kind = kind_of(wire)
    try:
        seen = await client.get(kind, namespace_of(wire), name_of(wire))
        fault = _READINESS[kind](seen)
        if fault and kind == DEPLOYMENT and (why := await trouble_of_pods(client, name_of(wire))):
            return f"{fault}: {why}"
    except (ApiError, ConnectionError) as error:
        return str(error)
    return fault


def _crd_fault(seen: Wire) -> str:
    return "" if is_condition_true(seen, "Established") else "is not served yet"


def _deployment_fault(seen: Wire) -> str:
    status, wanted = status_of(seen), spec_of(seen).get("replicas", 1)
    if int(status.get("observedGeneration") or 0) < generation_of(seen):
        return "has not been looked at"
    updated, ready = status.get("updatedReplicas") or 0, status.get("readyReplicas") or 0
    if updated >= wanted and ready >= wanted and status.get("replicas") == wanted:
        return ""
    return f"{ready} of {wanted} pods are ready"


def _hook_fault(seen: Wire) -> str:
    told = all(hook["clientConfig"].get("caBundle") for hook in seen.get("webhooks") or ())
    return "" if told else "the controller has not said whom to trust"


_READINESS: dict[Kind, Callable[[Wire], str]] = {
    CUSTOM_RESOURCE_DEFINITION: _crd_fault,
    DEPLOYMENT: _deployment_fault,
    MUTATING_WEBHOOKS: _hook_fault,
    VALIDATING_WEBHOOKS: _hook_fault,
}


async def remove(client: Client, manifests: list[Wire], *, keep_apps: bool, tell: Tell) -> None:
    """Take away what is installed: first who would refuse writes, last the namespaces.

    Args:
        client: of the cluster.
        manifests: as they were applied.
        keep_apps: leave the definitions and ``knative-serving``, and with them users' objects.
        tell: what was done.
    """
    hooks = [wire for wire in manifests if kind_of(wire) in _HOOKS]
    crds = [wire for wire in manifests if kind_of(wire) == CUSTOM_RESOURCE_DEFINITION]
    spaces = [wire for wire in manifests if kind_of(wire) == NAMESPACE]
    rest = [wire for wire in manifests if wire not in (*hooks, *crds, *spaces)]
    if keep_apps:
        crds, spaces = [], [wire for wire in spaces if name_of(wire) != KNATIVE_NAMESPACE]
    for wire in (*hooks, *crds):
        await _remove(client, wire, tell)
    await _gone(client, crds)
    for wire in (*reversed(rest), *spaces):
        await _remove(client, wire, tell)
    await _gone(client, spaces)


async def _remove(client: Client, wire: Wire, tell: Tell) -> None:
    try:
        await client.delete(kind_of(wire), namespace_of(wire), name_of(wire))
    except NotFound:
        return
    tell(wire, "deleted")


async def _gone(client: Client, wires: list[Wire], timeout_s: float = 120.0) -> None:
    """Return once they are; what they hold goes first.

    Raises:
        Unanswered: they are still there.
    """
    deadline = asyncio.get_running_loop().time() + timeout_s
    for wire in wires:
        while True:
            try:
                await client.get(kind_of(wire), "", name_of(wire))
            except NotFound:
                break
            if asyncio.get_running_loop().time() > deadline:
                said = f"{wire['kind']} {name_of(wire)}: is still there after {timeout_s:g} s"
                raise Unanswered(said)
            await asyncio.sleep(_LOOK_EVERY_S)
