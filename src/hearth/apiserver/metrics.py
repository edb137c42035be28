"""Answers what pods use now (``metrics.k8s.io``) by asking the nodes that run them."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import defaultdict
from typing import Any, TypeAlias

import aiohttp
import msgspec

from hearth.api.errors import ApiError, NotFound
from hearth.api.http import Response
from hearth.api.kinds import POD, POD_METRICS
from hearth.api.meta import Wire, labels_of, name_of, namespace_of, spec_of
from hearth.api.resources import resource_for
from hearth.apiserver.asked import Asked
from hearth.apiserver.codec import decode, json_response
from hearth.apiserver.core.paths import Target
from hearth.apiserver.logs import NodeLogs
from hearth.apiserver.objects import Objects
from hearth.kit.clock import Clock
from hearth.kit.times import rfc3339

log = logging.getLogger(__name__)

Wires: TypeAlias = list[Wire]

_TIMEOUT_S = 5.0  #: a node measures for a second at most


class PodMetrics:
    """Reads what nodes measure."""

    def __init__(self, objects: Objects, nodes: NodeLogs, clock: Clock) -> None:
        self._objects = objects
        self._nodes = nodes
        self._clock = clock

    async def get(self, asked: Asked) -> Response:
        """One pod's figures; raises ``NotFound`` while there are none."""
        found = await self._of(asked)
        if not found:
            name = asked.target.name
            details = {"name": name, "group": POD_METRICS.group, "kind": POD_METRICS.plural}
            raise NotFound(f'{POD_METRICS} "{name}" not found', details=details)
        return json_response(found[0])

    async def list(self, asked: Asked) -> Response:
        """The figures of the selected pods, as far as they run."""
        kind = {"kind": "PodMetricsList", "apiVersion": POD_METRICS.api_version}
        return json_response({**kind, "metadata": {}, "items": await self._of(asked)})

    async def _of(self, asked: Asked) -> Wires:
        target = asked.target
        resource = resource_for(POD.group, POD.version, POD.plural)
        assert resource is not None
        pods = Target(target.tenant, resource, target.namespace)
        entries, _ = await self._objects.find(pods, asked.labels(), asked.fields())
        by_node: defaultdict[str, list[Wire]] = defaultdict(list)
        for _, entry in entries:
            pod = decode(entry)
            if spec_of(pod).get("nodeName") and target.name in ("", name_of(pod)):
                by_node[spec_of(pod)["nodeName"]].append(pod)
        measured = await asyncio.gather(
            *(self._ask(target.tenant, pods_of_node[0]) for pods_of_node in by_node.values())
        )
        figures = {(m["namespace"], m["name"]): m for told in measured for m in told}
        made = rfc3339(self._clock.now())
        return [
            _pod_metrics(pod, figures[where], made)
            for pods_of_node in by_node.values()
            for pod in pods_of_node
            if (where := (namespace_of(pod), name_of(pod))) in figures
        ]

    async def _ask(self, tenant: str, pod: Wire) -> Wires:
        """What the pod's node measures; nothing when it does not answer."""
        try:
            url = f"{self._nodes.node_url(tenant, pod)}/metrics/pods"
            timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(
                    url, ssl=self._nodes.trust(tenant), headers=self._nodes.headers(tenant)
                ) as response,
            ):
                response.raise_for_status()
                told = msgspec.json.decode(await response.read())
                pods: Wires = told["pods"]
                return pods
        except (ApiError, aiohttp.ClientError, OSError, TimeoutError) as error:
            facts = {"node": spec_of(pod).get("nodeName"), "because": str(error)}
            log.warning("node does not tell what its pods use", extra={"f": facts})
            return []


def _pod_metrics(pod: Wire, figures: dict[str, Any], at: str) -> Wire:
    usage = {
        "cpu": f"{math.ceil(figures['cpus'] * 1e9)}n",
        "memory": f"{math.ceil(figures['memoryBytes'] / 1024)}Ki",
    }
    return {
        "kind": POD_METRICS.kind,
        "apiVersion": POD_METRICS.api_version,
        "metadata": {
            "name": name_of(pod),
            "namespace": namespace_of(pod),
            "creationTimestamp": at,
            "labels": dict(labels_of(pod)),
        },
        "timestamp": at,
        "window": f"{figures['windowS']:.3f}s",
        "containers": [{"name": figures["container"], "usage": usage}],
    }
