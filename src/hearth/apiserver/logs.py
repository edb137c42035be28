"""Reads a pod's log from its node, as the Kubernetes API server does from a kubelet."""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator

import aiohttp

from hearth.api.errors import BadRequest, NotFound, ServiceUnavailable, error_from_status
from hearth.api.http import Request, Response
from hearth.api.kinds import NODE, SECRET
from hearth.api.meta import ObjectKey, Wire, name_of, namespace_of, spec_of, status_of
from hearth.api.names import SYSTEM_NAMESPACE
from hearth.apiserver.codec import decode
from hearth.store import Backend
from hearth.store.core.keys import object_key

_PASSED_ON = ("follow", "previous", "tailLines", "sinceSeconds", "timestamps", "limitBytes")


class NodeLogs:
    """Asks nodes for logs."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    async def read(self, tenant: str, pod: Wire, request: Request) -> Response:
        """The log of one container of the pod, as it comes.

        Raises:
            BadRequest: the container is not named and there are several, or is not there.
            ServiceUnavailable: the node does not answer.
        """
        container = container_name(pod, request.query.get("container", ""))
        url = self.node_url(tenant, pod)
        path = f"{url}/containerLogs/{namespace_of(pod)}/{name_of(pod)}/{container}"
        query = {k: request.query[k] for k in _PASSED_ON if k in request.query}
        session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(sock_connect=5))
        try:
            response = await session.get(
                path, params=query, ssl=self.trust(tenant), headers=self.headers(tenant)
            )
            said = "" if response.status == 200 else await response.text()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            await session.close()
            node = spec_of(pod).get("nodeName")
            raise ServiceUnavailable(f"node {node} does not answer for logs: {error}") from error
        if response.status != 200:
            await session.close()
            raise error_from_status(response.status, {"message": said.strip()})
        headers = {"content-type": "text/plain; charset=utf-8"}
        return Response(200, headers, stream=_chunks(session, response))

    def node_url(self, tenant: str, pod: Wire) -> str:
        """Where the pod's node answers; raises ``ApiError``."""
        name = spec_of(pod).get("nodeName")
        if not name:
            raise BadRequest(f"pod {name_of(pod)} does not have a host assigned")
        return self.url_of(tenant, name)

    def url_of(self, tenant: str, name: str) -> str:
        """Where the node answers; raises ``ApiError``."""
        entry = self.backend.get(object_key(NODE, ObjectKey(tenant, "", name)))
        if entry is None:
            raise NotFound(f'nodes "{name}" not found')
        status = status_of(decode(entry))
        port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port")
        for address in status.get("addresses") or ():
            if address.get("type") == "InternalIP" and port:
                return f"https://{address['address']}:{port}"
        raise ServiceUnavailable(f"node {name}: has no address for logs yet")

    def _secret(self, tenant: str, name: str) -> dict[str, bytes]:
        key = object_key(SECRET, ObjectKey(tenant, SYSTEM_NAMESPACE, name))
        entry = self.backend.get(key)
        data = decode(entry).get("data") or {} if entry else {}
        return {k: base64.b64decode(v) for k, v in data.items()}

    def headers(self, tenant: str) -> dict[str, str]:
        """What a node asks for."""
        token = self._secret(tenant, "internal").get("token", b"").decode()
        return {"authorization": f"Bearer {token}"}

    def trust(self, tenant: str) -> ssl.SSLContext:
        """The authority that signs nodes' certificates."""
        authority = self._secret(tenant, "internal-tls").get("ca.crt", b"").decode()
        return ssl.create_default_context(cadata=authority)


def container_name(pod: Wire, wanted: str) -> str:
    """The container that is meant; raises ``BadRequest``."""
    names = [str(c["name"]) for c in spec_of(pod).get("containers") or ()]
    if not wanted and len(names) > 1:
        raise BadRequest(
            f"a container name must be specified for pod {name_of(pod)}, choose one of: {names}"
        )
    if wanted and wanted not in names:
        raise BadRequest(f"container {wanted} is not valid for pod {name_of(pod)}, it has {names}")
    return wanted or names[0]


async def _chunks(
    session: aiohttp.ClientSession, response: aiohttp.ClientResponse
) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, OSError):
        return  # the node went away: what it said so far stands
    finally:
        response.close()
        await session.close()
