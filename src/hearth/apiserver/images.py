"""A node's images through the API, at the path where Kubernetes proxies to a node."""

from __future__ import annotations

import re

import aiohttp

from hearth.api.errors import MethodNotAllowed, ServiceUnavailable, error_from_status
from hearth.api.http import Request, Response
from hearth.apiserver.logs import NodeLogs

IMAGES_MAX_BYTES = 20 * 2**30
_PATH = re.compile(r"/api/v1/nodes/(?P<node>[a-z0-9.-]+)/proxy/images$")


def parse_images_path(path: str) -> str | None:
    """The node whose images the path means, or None for another path."""
    found = _PATH.match(path)
    return found["node"] if found else None


class NodeImages:
    """Hands archives to nodes, and tells what they have."""

    def __init__(self, nodes: NodeLogs) -> None:
        self._nodes = nodes

    async def answer(self, request: Request, tenant: str, node: str) -> Response:
        """``GET`` lists a node's images, ``POST`` loads those of an archive, the body.

        Raises:
            NotFound: there is no such node.
            BadRequest: the body is no archive of images.
            ServiceUnavailable: the node does not answer, or cannot run containers.
        """
        if request.method not in ("GET", "POST"):
            raise MethodNotAllowed(f"{request.method} is not supported on a node's images")
        url = f"{self._nodes.url_of(tenant, node)}/images"
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.request(
                    request.method,
                    url,
                    data=request.stream or request.body or None,
                    ssl=self._nodes.trust(tenant),
                    headers=self._nodes.headers(tenant),
                ) as response,
            ):
                body = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ServiceUnavailable(f"node {node} does not answer for images: {error}") from error
        if response.status != 200:
            said = body.decode(errors="replace").strip()
            raise error_from_status(response.status, {"message": f"node {node}: {said}"})
        return Response(200, {"content-type": "application/json"}, body)
