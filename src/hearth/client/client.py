"""Typed verbs of the Kubernetes API over a :class:`~hearth.api.http.Handler`."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from hearth.api.errors import ApiError, error_from_status
from hearth.api.http import Handler, Request, Response
from hearth.api.kinds import Kind
from hearth.api.meta import ROOT, Wire


class PatchType(StrEnum):
    """The media types a PATCH may have."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class WireList:
    """What a list returned: the objects and the state of the store they belong to."""

    items: list[Wire]
    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """``ADDED``, ``MODIFIED``, ``DELETED`` with the object, or ``BOOKMARK`` with only its rv."""

    type: str
    object: Wire


class Client:
    """One tenant's API, as one user.

    All verbs raise :class:`~hearth.api.errors.ApiError` for what the server refused, and
    ``ConnectionError`` when it could not be reached or broke off.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        tenant: str = ROOT,
        token: str = "",
        field_manager: str = "hearth",
        tenant_in_path: bool = True,
    ) -> None:
        """Speak as ``field_manager`` to ``handler``.

        Args:
            handler: the API server, or a connection to one.
            tenant: whose directory.
            token: bearer token; an HTTP handler may bring credentials of its own.
            field_manager: name under which applied fields are owned.
            tenant_in_path: False for a server that has no tenants (a real Kubernetes), and for a
                kubeconfig whose server URL names the tenant already.
        """
        self.tenant = tenant
        self._handler = handler
        self._root = f"/clusters/{tenant}" if tenant_in_path else ""
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._field_manager = field_manager

    def managed_by(self, field_manager: str) -> Client:
        """The same, with writes in another manager's name."""
        other = copy.copy(self)
        other._field_manager = field_manager
        return other

    async def get(self, kind: Kind, namespace: str, name: str, subresource: str = "") -> Wire:
        """Read one object."""
        return await self._json("GET", kind.path(namespace, name, subresource))

    async def list(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> WireList:
        """Read all objects, of one namespace or of all (empty)."""
        query = _given(labelSelector=label_selector, fieldSelector=field_selector)
        answer = await self._json("GET", kind.path(namespace), query=query)
        rv = str(answer.get("metadata", {}).get("resourceVersion", ""))
        items = answer.get("items") or []
        for item in items:  # lists leave these out of their items
            item.setdefault("apiVersion", kind.api_version)
            item.setdefault("kind", kind.kind)
        return WireList(items, rv)

    async def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
        timeout_s: int | None = None,
    ) -> AsyncGenerator[WatchEvent, None]:
        """Follow changes after ``resource_version`` until the server ends the stream.

        Raises:
            Gone: the version is no longer kept; list again.
        """
        query = _given(
            watch="true",
            allowWatchBookmarks="true",
            resourceVersion=resource_version,
            labelSelector=label_selector,
            fieldSelector=field_selector,
            timeoutSeconds=str(timeout_s) if timeout_s else "",
        )
        response = await self._send("GET", kind.path(namespace), query=query)
        if response.stream is None:
            return
        async with contextlib.aclosing(_lines(response.stream)) as lines:
            async for line in lines:
                event = msgspec.json.decode(line)
                if event["type"] == "ERROR":
                    raise error_from_status(event["object"].get("code", 500), event["object"])
                yield WatchEvent(event["type"], event["object"])

    async def create(
        self,
        kind: Kind,
        wire: Wire,
        *,
        namespace: str = "",
        name: str = "",
        subresource: str = "",
        dry_run: bool = False,
    ) -> Wire:
        """Create the object; its namespace is the object's own unless given.

        ``name`` with ``subresource`` posts to that subresource of an existing object. With
        ``dry_run`` nothing is stored: the answer is what would be.
        """
        where = namespace or (wire.get("metadata") or {}).get("namespace", "")
        path = kind.path(where, name, subresource)
        query = {**self._manager(), **({"dryRun": "All"} if dry_run else {})}
        return await self._json("POST", path, query=query, body=wire)

    async def update(self, kind: Kind, wire: Wire, subresource: str = "") -> Wire:
        """Replace the object if it still has the resourceVersion it was read with."""
        meta = wire["metadata"]
        path = kind.path(meta.get("namespace", ""), meta["name"], subresource)
        return await self._json("PUT", path, query=self._manager(), body=wire)

    async def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: Any,
        *,
        patch_type: PatchType = PatchType.MERGE,
        subresource: str = "",
        force: bool = False,
    ) -> Wire:
        """Change the fields that ``patch`` holds; ``force`` takes over fields others applied."""
        query = self._manager()
        if force:
            query["force"] = "true"
        path = kind.path(namespace, name, subresource)
        return await self._json("PATCH", path, query=query, body=patch, content_type=patch_type)

    async def apply(
        self, kind: Kind, wire: Wire, *, subresource: str = "", force: bool = True
    ) -> Wire:
        """Server-side apply: own the fields in ``wire``, drop those owned before and left out."""
        meta = wire["metadata"]
        body = {"apiVersion": kind.api_version, "kind": kind.kind, **wire}
        return await self.patch(
            kind,
            meta.get("namespace", ""),
            meta["name"],
            body,
            patch_type=PatchType.APPLY,
            subresource=subresource,
            force=force,
        )

    async def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        propagation: str = "Background",
        uid: str = "",
        grace_period_s: int | None = None,
    ) -> Wire:
        """Ask for the object's end; ``uid`` makes sure that it is that very object."""
        options: Wire = {"propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_period_s is not None:
            options["gracePeriodSeconds"] = grace_period_s
        return await self._json("DELETE", kind.path(namespace, name), body=options)

    async def raw(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | AsyncIterator[bytes] = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send anything below the tenant's root: logs, packages, images, discovery."""
        return await self._send(method, path, query=query, body=body, headers=headers)

    async def _json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Wire:
        encoded = b"" if body is None else msgspec.json.encode(body)
        headers = {"content-type": str(content_type)} if encoded else {}
        response = await self._send(method, path, query=query, body=encoded, headers=headers)
        answer: Wire = msgspec.json.decode(await read_all(response))
        return answer

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | AsyncIterator[bytes] = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        asked = {"accept": "application/json", **self._headers, **(headers or {})}
        sent = {"body": body} if isinstance(body, bytes) else {"stream": body}
        request = Request(method, self._root + path, dict(query or {}), asked, **sent)
        response = await self._handler(request)
        if response.status >= 400:
            raise await _error_of(response)
        return response

    def _manager(self) -> dict[str, str]:
        return {"fieldManager": self._field_manager}


async def read_all(response: Response) -> bytes:
    """The whole body, whether it came as one piece or as a stream."""
    if response.stream is None:
        return response.body
    return b"".join([chunk async for chunk in response.stream])


async def _error_of(response: Response) -> ApiError:
    body = await read_all(response)
    try:
        status = msgspec.json.decode(body)
    except msgspec.DecodeError:
        status = {"message": body.decode(errors="replace")}
    return error_from_status(response.status, status if isinstance(status, dict) else {})


async def _lines(stream: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    rest = b""
    try:
        async for chunk in stream:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.strip():
                    yield line
    finally:  # the connection goes now, not when the garbage is collected
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()


def _given(**query: str) -> dict[str, str]:
    return {name: value for name, value in query.items() if value}
