"""Answers requests: who asks, what is meant, who does it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from hearth.api.errors import ApiError, InternalError, MethodNotAllowed, NotFound
from hearth.api.http import Request, Response
from hearth.api.kinds import POD
from hearth.api.meta import ROOT
from hearth.apiserver.asked import Asked
from hearth.apiserver.auth import ANONYMOUS, Authenticator, User, authorize, authorize_node
from hearth.apiserver.codec import error_response
from hearth.apiserver.core.paths import ALL_TENANTS, NOT_FOUND, parse_target, split_tenant
from hearth.apiserver.discovery import Discovery
from hearth.apiserver.images import NodeImages, parse_images_path
from hearth.apiserver.logs import NodeLogs
from hearth.apiserver.metrics import PodMetrics
from hearth.apiserver.objects import Objects
from hearth.apiserver.packages import Packages, parse_package_path
from hearth.apiserver.reading import Reading
from hearth.apiserver.rules import ClusterRules
from hearth.apiserver.streaming import PodStreams
from hearth.apiserver.writing import Writing
from hearth.kit.clock import Clock

log = logging.getLogger(__name__)

_WRITING = ("create", "update", "patch")
_HEALTH = ("/healthz", "/readyz", "/livez")

Act: TypeAlias = Callable[[Asked], Awaitable[Response]]


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
        self._authenticator = authenticator
        self._packages = packages
        self._images = NodeImages(logs)
        self._discovery = Discovery()
        reading, writing = Reading(objects, logs, clock), Writing(objects, clock)
        self._rules, streams = ClusterRules(objects), PodStreams(objects, logs)
        metrics = PodMetrics(objects, logs, clock)
        self._computed: dict[str, Act] = {"get": metrics.get, "list": metrics.list}
        #: What is done, by Kubernetes' word for it.
        self._acts: dict[str, Act] = {
            "get": reading.get,
            "list": reading.list,
            "watch": reading.watch,
            "create": writing.create,
            "update": writing.update,
            "patch": writing.patch,
            "delete": writing.delete,
            "deletecollection": writing.delete_collection,
        }
        #: Subresources of pods that are more than a part of the object.
        self._pod_acts: dict[tuple[str, str], Act] = {
            ("get", "log"): reading.log,
            **{(verb, "exec"): streams.exec for verb in ("get", "create")},
            **{(verb, "attach"): streams.attach for verb in ("get", "create")},
            **{(verb, "portforward"): streams.forward for verb in ("get", "create")},
            ("create", "binding"): writing.bind,
            ("create", "adopt"): writing.adopt,
        }

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
        user = self._authenticator.user_of(request)
        tenant, path = split_tenant(request.path)
        if path.startswith(_HEALTH):
            return Response(200, {"content-type": "text/plain"}, b"ok")
        if tenant not in (ROOT, ALL_TENANTS):
            raise NotFound(f'tenants "{tenant}" not found')
        if package := parse_package_path(path):
            return await self._packages.answer(request, tenant, package)
        if node := parse_images_path(path):
            authorize_node(user, node)
            return await self._images.answer(request, tenant, node)
        try:
            target = parse_target(tenant, path)
        except NotFound:
            if request.method != "GET":
                raise
            return self._discovery.answer(path, request)
        return await self._act(Asked(target, request, user))

    async def _act(self, asked: Asked) -> Response:
        verb = _verb(asked.request, named=bool(asked.target.name))
        target = asked.target
        if verb is None or (target.tenant == ALL_TENANTS and verb not in ("list", "watch")):
            raise MethodNotAllowed(f"{asked.request.method} is not supported on this path")
        if target.resource.shown is not None and verb not in ("get", "list", "watch"):
            kind, shown = target.resource.kind, target.resource.shown.of
            raise MethodNotAllowed(f"{kind} are what {shown} mean: {verb} those instead")
        acts = self._computed if target.resource.computed else self._acts
        if verb not in acts:
            raise MethodNotAllowed(f"{target.resource.kind} cannot be written or watched")
        act: Act | None = acts[verb]
        if target.subresource and target.subresource not in target.resource.subresources:
            special = (verb, target.subresource)
            act = self._pod_acts.get(special) if target.resource.kind == POD else None
        if act is None:
            raise NotFound(NOT_FOUND)
        if asked.user is not ANONYMOUS:
            authorize(asked.user, verb, target)
        if verb not in _WRITING:
            return await act(asked)
        with self._rules.of(asked):
            return await act(asked)


def _verb(request: Request, *, named: bool) -> str | None:
    """Kubernetes' word for what is asked."""
    if request.method == "GET" and not named:
        return "watch" if request.query.get("watch") in ("true", "1") else "list"
    if request.method == "DELETE" and not named:
        return "deletecollection"
    if request.method == "POST":
        return "create"
    verbs = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
    return verbs.get(request.method) if named else None


__all__ = ["ApiServer", "User"]
