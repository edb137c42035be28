"""Answers requests: who asks, what is meant, what is done."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from hearth.api import managed_fields
from hearth.api.errors import ApiError, BadRequest, InternalError, MethodNotAllowed, NotFound
from hearth.api.http import Request, Response
from hearth.api.kinds import POD
from hearth.api.meta import Wire, metadata
from hearth.api.patches import json_patch, merge_patch, strategic_merge
from hearth.api.selectors import parse_field_selector, parse_label_selector
from hearth.api.tables import make_table
from hearth.apiserver import discovery
from hearth.apiserver.auth import ANONYMOUS, Authenticator, User
from hearth.apiserver.codec import (
    JSON,
    decode,
    error_response,
    json_response,
    parse_body,
)
from hearth.apiserver.core.lifecycle import Writer, parse_checked
from hearth.apiserver.core.paths import Target, parse_target, split_tenant
from hearth.apiserver.logs import NodeLogs
from hearth.apiserver.objects import Objects, Outcome
from hearth.apiserver.packages import Packages, parse_package_path
from hearth.apiserver.subresources import adopt, bind, require_subresource, scale_of, with_scale
from hearth.apiserver.watching import Watching, WatchOptions
from hearth.client import PatchType
from hearth.kit.clock import Clock
from hearth.kit.times import rfc3339

log = logging.getLogger(__name__)

_WATCH_TIMEOUT_S = 1800.0
_HEALTH = ("/healthz", "/readyz", "/livez")

Verb = Callable[[Target, Request, User], Awaitable[Response]]


class ApiServer:
    """A :class:`hearth.api.http.Handler` over a store."""

    def __init__(
        self,
        objects: Objects,
        authenticator: Authenticator,
        packages: Packages,
        logs: NodeLogs,
        clock: Clock,
    ) -> None:
        self._objects = objects
        self._authenticator = authenticator
        self._packages = packages
        self._logs = logs
        self._clock = clock
        self._watching = Watching(objects, clock)

    async def __call__(self, request: Request) -> Response:
        """Answer one request; errors become Status answers."""
        try:
            return await self._answer(request)
        except ApiError as error:
            return error_response(error)
        except Exception as error:
            log.exception("request failed", extra={"f": {"path": request.path}})
            return error_response(InternalError(f"{request.method} {request.path}: {error!r}"))

    async def _answer(self, request: Request) -> Response:
        tenant, path = split_tenant(request.path)
        user = self._authenticator.user_of(request)
        if path.startswith(_HEALTH):
            return Response(200, {"content-type": "text/plain"}, b"ok")
        if package := parse_package_path(path):
            return await self._packages.answer(request.method, tenant, package, request.body)
        try:
            target = parse_target(tenant, path)
        except NotFound:
            if request.method != "GET":
                raise
            return json_response(discovery.answer(path))
        assert user is not ANONYMOUS, "objects are never shown to the unknown"
        return await self._verb(target, request)(target, request, user)

    def _verb(self, target: Target, request: Request) -> Verb:
        special: dict[tuple[str, str], Verb] = {
            ("POST", "binding"): self._bind,
            ("POST", "adopt"): self._adopt,
            ("GET", "log"): self._log,
        }
        if target.resource.kind == POD and (request.method, target.subresource) in special:
            return special[request.method, target.subresource]
        require_subresource(target)
        collection: dict[str, Verb] = {
            "GET": self._watch if request.query.get("watch") in ("true", "1") else self._list,
            "POST": self._create,
            "DELETE": self._delete_collection,
        }
        single: dict[str, Verb] = {
            "GET": self._get,
            "PUT": self._update,
            "PATCH": self._patch,
            "DELETE": self._delete,
        }
        verb = (single if target.name else collection).get(request.method)
        if verb is None:
            raise MethodNotAllowed(f"{request.method} is not supported on {request.path}")
        return verb

    # Reading

    async def _get(self, target: Target, request: Request, user: User) -> Response:
        wire = await self._objects.get(target)
        if target.subresource == "scale":
            return json_response(scale_of(target, wire))
        include = _table_wanted(request)
        if include is None:
            return json_response(wire)
        rv = metadata(wire)["resourceVersion"]
        now = self._clock.now()
        return json_response(make_table(target.resource, [wire], rv, now, include=include))

    async def _list(self, target: Target, request: Request, user: User) -> Response:
        labels = parse_label_selector(request.query.get("labelSelector", ""))
        fields = parse_field_selector(request.query.get("fieldSelector", ""))
        include = _table_wanted(request)
        if include is not None:
            entries, revision = await self._objects.entries(target)
            chosen = [
                decode(entry)
                for _, entry in entries
                if self._objects.selected(target.resource, entry, labels, fields)
            ]
            now, rv = self._clock.now(), str(revision)
            return json_response(make_table(target.resource, chosen, rv, now, include=include))
        items, revision = await self._objects.render_list(target, labels, fields)
        kind = target.resource.kind
        head = (
            f'{{"kind":"{kind.kind}List","apiVersion":"{kind.api_version}",'
            f'"metadata":{{"resourceVersion":"{revision}"}},"items":['
        )
        return Response(200, JSON, head.encode() + items + b"]}")

    async def _watch(self, target: Target, request: Request, user: User) -> Response:
        query = request.query
        options = WatchOptions(
            labels=parse_label_selector(query.get("labelSelector", "")),
            fields=parse_field_selector(query.get("fieldSelector", "")),
            resource_version=query.get("resourceVersion", ""),
            timeout_s=_number(query, "timeoutSeconds", _WATCH_TIMEOUT_S),
            bookmarks=query.get("allowWatchBookmarks") == "true",
            table=_table_wanted(request),
            send_initial=query.get("sendInitialEvents") == "true",
        )
        _number(query, "resourceVersion", 0)
        return Response(200, JSON, stream=self._watching.stream(target, options))

    async def _log(self, target: Target, request: Request, user: User) -> Response:
        return await self._logs.read(target.tenant, await self._objects.get(target), request)

    # Writing

    async def _create(self, target: Target, request: Request, user: User) -> Response:
        outcome = await self._objects.create(
            target, parse_body(request), self._writer(request, user), dry_run=_is_dry(request)
        )
        return _written(outcome)

    async def _update(self, target: Target, request: Request, user: User) -> Response:
        by, body = self._writer(request, user), parse_body(request)
        if target.subresource == "scale":
            return await self._scale(target, lambda wire: with_scale(wire, body), request, by)
        return _written(await self._objects.update(target, body, by, dry_run=_is_dry(request)))

    async def _patch(self, target: Target, request: Request, user: User) -> Response:
        media = request.headers.get("content-type", "").split(";")[0].strip()
        patch, by = parse_body(request), self._writer(request, user)
        if target.subresource == "scale":

            def scaled(wire: Wire) -> Wire:
                return with_scale(wire, _patched(scale_of(target, wire), patch, media))

            return await self._scale(target, scaled, request, by)
        if media == PatchType.APPLY:
            return await self._apply(target, request, patch, by)
        warnings: list[str] = []

        def change(wire: Wire) -> Wire:
            changed = _patched(wire, patch, media)
            warnings[:] = parse_checked(target.resource, changed, by.strictness)
            unpinned = "resourceVersion" not in _patched_metadata(patch)
            return _without_version(changed) if unpinned else changed

        outcome = await self._objects.change(target, change, by, dry_run=_is_dry(request))
        outcome.warnings = warnings
        return _written(outcome)

    async def _apply(self, target: Target, request: Request, applied: Any, by: Writer) -> Response:
        if not request.query.get("fieldManager"):
            raise BadRequest("fieldManager is required for apply patch")
        warnings = parse_checked(target.resource, applied, by.strictness)
        force = request.query.get("force") == "true"
        meta = {k: v for k, v in metadata(applied).items() if k != "managedFields"}
        meta |= {"name": target.name}
        if target.namespace:
            meta["namespace"] = target.namespace
        applied = {**applied, "metadata": meta}

        def change(wire: Wire) -> Wire:
            merged = managed_fields.apply(wire, applied, by.manager, by.at, force=force)
            return merged if "resourceVersion" in meta else _without_version(merged)

        dry = _is_dry(request)
        try:
            outcome = await self._objects.change(target, change, by, dry_run=dry)
        except NotFound:
            if target.subresource:
                raise
            new = managed_fields.apply(None, applied, by.manager, by.at, force=force)
            where = Target(target.tenant, target.resource, target.namespace)
            outcome = await self._objects.create(where, new, by, dry_run=dry)
        outcome.warnings = warnings
        return _written(outcome)

    async def _scale(
        self, target: Target, change: Callable[[Wire], Wire], request: Request, by: Writer
    ) -> Response:
        whole = Target(target.tenant, target.resource, target.namespace, target.name)
        outcome = await self._objects.change(whole, change, by, dry_run=_is_dry(request))
        return json_response(scale_of(target, outcome.wire))

    async def _delete(self, target: Target, request: Request, user: User) -> Response:
        return json_response(await self._objects.delete(target, _delete_options(request)))

    async def _delete_collection(self, target: Target, request: Request, user: User) -> Response:
        labels = parse_label_selector(request.query.get("labelSelector", ""))
        fields = parse_field_selector(request.query.get("fieldSelector", ""))
        options = _delete_options(request)
        entries, _ = await self._objects.entries(target)
        gone = []
        for _, entry in entries:
            if self._objects.selected(target.resource, entry, labels, fields):
                meta = metadata(decode(entry))
                one = Target(
                    target.tenant, target.resource, meta.get("namespace") or "", meta["name"]
                )
                gone.append(await self._objects.delete(one, options))
        kind = target.resource.kind
        listed = {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": {}}
        return json_response({**listed, "items": gone})

    async def _bind(self, target: Target, request: Request, user: User) -> Response:
        by = self._writer(request, user)
        return json_response(await bind(self._objects, target, parse_body(request), by), 201)

    async def _adopt(self, target: Target, request: Request, user: User) -> Response:
        whole = Target(target.tenant, target.resource, target.namespace, target.name)
        by = self._writer(request, user)
        return json_response(await adopt(self._objects, whole, parse_body(request), by))

    def _writer(self, request: Request, user: User) -> Writer:
        agent = request.headers.get("user-agent", "").split("/")[0]
        media = request.headers.get("content-type", "")
        return Writer(
            user=user.name,
            manager=request.query.get("fieldManager") or agent or "unknown",
            at=rfc3339(self._clock.now()),
            strictness=request.query.get("fieldValidation") or "Warn",
            applies=request.method == "PATCH" and media.startswith(PatchType.APPLY),
        )


def _written(outcome: Outcome) -> Response:
    return json_response(outcome.wire, 201 if outcome.created else 200, outcome.warnings)


def _patched(wire: Wire, patch: Any, media: str) -> Wire:
    match media:
        case PatchType.JSON:
            return json_patch(wire, patch)
        case PatchType.STRATEGIC:
            return dict(strategic_merge(wire, patch))
        case PatchType.MERGE | "application/json" | "":
            if not isinstance(patch, dict):
                raise BadRequest("a merge patch must be an object")
            return dict(merge_patch(wire, patch))
    raise BadRequest(f"content type {media!r} is not a kind of patch")


def _patched_metadata(patch: Any) -> Any:
    return metadata(patch) if isinstance(patch, dict) else ()


def _without_version(wire: Wire) -> Wire:
    meta = {k: v for k, v in metadata(wire).items() if k != "resourceVersion"}
    return {**wire, "metadata": meta}


def _table_wanted(request: Request) -> str | None:
    """``includeObject`` if the client prefers tables, else None."""
    accept = request.headers.get("accept", "").split(",")[0]
    if "as=Table" not in accept:
        return None
    return request.query.get("includeObject", "Metadata")


def _is_dry(request: Request) -> bool:
    return bool(request.query.get("dryRun"))


def _number(query: Any, name: str, default: float) -> float:
    text = query.get(name) or ""
    if text and not text.isdigit():
        raise BadRequest(f"{name} is {text!r}, expected a number")
    return float(text or default)


def _delete_options(request: Request) -> Wire:
    body = parse_body(request)
    options: Wire = dict(body) if isinstance(body, dict) else {}
    for name in ("propagationPolicy", "dryRun"):
        if request.query.get(name):
            options[name] = request.query[name]
    if request.query.get("gracePeriodSeconds"):
        options["gracePeriodSeconds"] = int(_number(request.query, "gracePeriodSeconds", 0))
    return options
