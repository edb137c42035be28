"""Reads the log of a pod's requests from the gateways, and of its probes from its node."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping

import aiohttp

from hearth.api.config import read_observability
from hearth.api.errors import BadRequest
from hearth.api.http import Request, Response
from hearth.api.kinds import CONFIG_MAP, LEASE
from hearth.api.logs import QUEUE_PROXY, Query
from hearth.api.meta import (
    ObjectKey,
    Wire,
    annotations_of,
    labels_of,
    name_of,
    namespace_of,
    spec_of,
)
from hearth.api.names import (
    KNATIVE_NAMESPACE,
    REQUEST_LOGS_ANNOTATION,
    REVISION_LABEL,
    SYSTEM_NAMESPACE,
)
from hearth.apiserver.codec import decode
from hearth.apiserver.logs import NodeLogs
from hearth.kit.tasks import TaskGroup
from hearth.store.core.keys import object_key, resource_prefix

log = logging.getLogger(__name__)

_LINES_MAX = 1000  #: of a source that may wait for those of others


def is_asked_for(pod: Wire, container: str) -> bool:
    """Whether that name means the log of the pod's requests."""
    names = {c.get("name") for c in spec_of(pod).get("containers") or ()}
    return container == QUEUE_PROXY and REVISION_LABEL in labels_of(pod) and container not in names


class RequestLogs:
    """Asks whoever has lines."""

    def __init__(self, nodes: NodeLogs) -> None:
        self._nodes = nodes

    def is_kept(self, tenant: str) -> bool:
        """Whether requests are logged now."""
        key = object_key(CONFIG_MAP, ObjectKey(tenant, KNATIVE_NAMESPACE, "config-observability"))
        entry = self._nodes.backend.get(key)
        with contextlib.suppress(ValueError):
            data = decode(entry).get("data") if entry is not None else None
            return read_observability(data or {}).request_log
        return False

    def shown(self, tenant: str, pod: Wire) -> Wire:
        """The pod with the container that the log is found under, for clients that look for it."""
        if not is_asked_for(pod, QUEUE_PROXY) or not self.is_kept(tenant):
            return pod
        spec = spec_of(pod)
        seen = [*(spec.get("ephemeralContainers") or ()), {"name": QUEUE_PROXY, "image": "none"}]
        return {**pod, "spec": {**spec, "ephemeralContainers": seen}}

    async def read(self, tenant: str, pod: Wire, request: Request) -> Response:
        """The lines of all sources, in the order of their times.

        Raises:
            BadRequest: the query is not understood.
        """
        try:
            query = Query.of(request.query)
        except ValueError as error:
            raise BadRequest(str(error)) from error
        passed = {name: text for name, text in request.query.items() if name != "limitBytes"}
        passed["timestamps"] = "true"
        urls = await self._sources(tenant, pod)
        sources = [self._lines(tenant, url, passed) for url in urls]
        lines = _as_they_come(sources) if query.follow else _in_order(sources, query.tail_lines)
        headers = {"content-type": "text/plain; charset=utf-8"}
        return Response(200, headers, stream=_shown(lines, query))

    async def _sources(self, tenant: str, pod: Wire) -> list[str]:
        namespace, name = namespace_of(pod), name_of(pod)
        prefix = resource_prefix(LEASE, tenant, SYSTEM_NAMESPACE)
        entries, _ = await self._nodes.backend.scan(prefix)
        gateways = [annotations_of(decode(e)).get(REQUEST_LOGS_ANNOTATION) for _, e in entries]
        node = self._nodes.node_url(tenant, pod)
        return [
            *(f"{url}/requestLogs/{tenant}/{namespace}/{name}" for url in gateways if url),
            f"{node}/containerLogs/{namespace}/{name}/{QUEUE_PROXY}",
        ]

    async def _lines(self, tenant: str, url: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        """What one source has, line by line; nothing when it has none or is away."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(
                    url,
                    params=query,
                    ssl=self._nodes.trust(tenant),
                    headers=self._nodes.headers(tenant),
                ) as response,
            ):
                if response.status != 200:
                    return
                async for line in response.content:
                    yield line
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            facts = {"from": url, "because": str(error)}
            log.warning("request log not read", extra={"f": facts})


async def _in_order(
    sources: list[AsyncIterator[bytes]], tail_lines: int | None
) -> AsyncIterator[bytes]:
    """The lines of several sources, each in order itself, by their times; or the last of them."""
    heads: dict[int, bytes] = {}
    for number, source in enumerate(sources):
        if (line := await anext(source, None)) is not None:
            heads[number] = line
    last = deque[bytes](maxlen=tail_lines)
    while heads:
        number = min(heads, key=heads.__getitem__)
        if tail_lines is None:
            yield heads[number]
        else:
            last.append(heads[number])
        if (line := await anext(sources[number], None)) is None:
            del heads[number]
        else:
            heads[number] = line
    for line in last:
        yield line


async def _as_they_come(sources: list[AsyncIterator[bytes]]) -> AsyncIterator[bytes]:
    queue: asyncio.Queue[bytes | None] = asyncio.Queue(_LINES_MAX)

    async def take(source: AsyncIterator[bytes]) -> None:
        async for line in source:
            await queue.put(line)
        await queue.put(None)

    tasks = TaskGroup()
    for source in sources:
        tasks.start(take(source), name="request log")
    try:
        ended = 0
        while ended < len(sources):
            line = await queue.get()
            if line is None:
                ended += 1
            else:
                yield line
    finally:
        await tasks.close()


async def _shown(lines: AsyncIterator[bytes], query: Query) -> AsyncIterator[bytes]:
    left = query.limit_bytes if query.limit_bytes is not None else 2**62
    async for line in lines:
        text = line if query.timestamps else line.partition(b" ")[2]
        yield text[:left]
        left -= len(text)
        if left <= 0:
            return
