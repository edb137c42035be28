"""Answers requests: who asks, what is meant, who does it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

import msgspec

from hearth.api.errors import ApiError, InternalError, MethodNotAllowed, NoSuchPath, NotFound
from hearth.api.http import Request, Response
from hearth.api.kinds import HEARTH, NAMESPACE, POD, SERVICE_ACCOUNT
from hearth.api.meta import ROOT, Wire
from hearth.apiserver.asked import Asked
from hearth.apiserver.auth import ANONYMOUS, Authenticator, User
from hearth.apiserver.authorizing import ROLES_AND_BINDINGS, Authorizer
from hearth.apiserver.codec import error_response, json_response
from hearth.apiserver.core.paths import ALL_TENANTS, Target, parse_target, split_tenant
from hearth.apiserver.core.rbac import Attributes, groups_of
from hearth.apiserver.discovery import Discovery
from hearth.apiserver.images import NodeImages, parse_images_path
from hearth.apiserver.instruments import Measured
from hearth.apiserver.logs import NodeLogs
from hearth.apiserver.metrics import PodMetrics
from hearth.apiserver.objects import Objects
from hearth.apiserver.packages import Packages, parse_package_path
from hearth.apiserver.reading import Reading
from hearth.apiserver.reviews import Reviews
from hearth.apiserver.rules import ClusterRules
from hearth.apiserver.security import PodSecurity
from hearth.apiserver.streaming import PodStreams
from hearth.apiserver.tokens import ISSUER, Tokens
from hearth.apiserver.trials import PodTrials
from hearth.apiserver.writing import Writing
from hearth.kit.clock import Clock

log = logging.getLogger(__name__)

_WRITING = ("create", "update", "patch")
_ENTERING = ("exec", "attach", "portforward")
_HEALTH = ("/healthz", "/readyz", "/livez")

#: Where those who check tokens by themselves find the key (OpenID Connect Discovery).
WELL_KNOWN: dict[str, Callable[[Tokens], Wire]] = {
    "/.well-known/openid-configuration": lambda tokens: {
        "issuer": ISSUER,
        "jwks_uri": f"{ISSUER}/openid/v1/jwks",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    },
    "/openid/v1/jwks": lambda tokens: tokens.key_set(),
}

Act: TypeAlias = Callable[[Asked], Awaitable[Response]]


class ApiServer:
    """A :class:`hearth.api.http.Handler` over a store."""

    def __init__(
        self,
        objects: Objects,
        authenticator: Authenticator,
        packages: Packages,
        logs: NodeLogs,
        tokens: Tokens,
        clock: Clock,
    ) -> None:
        self._authenticator = authenticator
        self._packages = packages
        self._images = NodeImages(logs)
        self._discovery = Discovery()
        self._authorizer = Authorizer(objects)
        self._reviews = Reviews(objects, authenticator, self._authorizer, tokens)
        self._tokens = tokens
        reading, writing = Reading(objects, logs, clock), Writing(objects, clock)
        self._rules, self._security = ClusterRules(objects), PodSecurity(objects)
        self._trials = PodTrials(
            objects, lambda asked: writing.create(self._security.applied(asked))
        )
        streams = PodStreams(objects, logs)
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
        measured = Measured(request.method)
        response = await self._answer_or_fault(request, measured)
        measured.answered(response.status)
        return response

    async def _answer_or_fault(self, request: Request, measured: Measured) -> Response:
        try:
            return await self._answer(request, measured)
        except NoSuchPath as error:
            return Response(404, {"content-type": "text/plain"}, f"{error}\n".encode())
        except ApiError as error:
            return error_response(error)
        except Exception as error:
            log.exception("request failed", extra={"f": {"path": request.path}})
            return error_response(InternalError(f"{request.method} {request.path}: {error!r}"))

    async def _answer(self, request: Request, measured: Measured) -> Response:
        tenant, path = split_tenant(request.path)
        user = self._authenticator.user_of(request, tenant)
        if "impersonate-user" in request.headers:
            user = await self._impersonated(user, tenant, request)
        if path.startswith(_HEALTH):
            return Response(200, {"content-type": "text/plain"}, b"ok")
        if tenant not in (ROOT, ALL_TENANTS):
            raise NotFound(f'tenants "{tenant}" not found')
        if path in WELL_KNOWN:
            return json_response(WELL_KNOWN[path](self._tokens))
        if package := parse_package_path(path):
            await self._authorizer.check(user, tenant, _of_package(request, *package))
            return await self._packages.answer(request, tenant, package)
        if node := parse_images_path(path):
            proxied = Attributes("get", resource="nodes", subresource="proxy", name=node)
            await self._authorizer.check(user, tenant, proxied)
            return await self._images.answer(request, tenant, node)
        try:
            target = parse_target(tenant, path)
        except NoSuchPath:
            if request.method != "GET":
                raise
            if user is not ANONYMOUS:
                await self._authorizer.check(user, tenant, Attributes("get", path=path))
            return self._discovery.answer(path, request)
        return await self._act(Asked(target, request, user), measured)

    async def _impersonated(self, user: User, tenant: str, request: Request) -> User:
        """Whom the user speaks for; raises ``Forbidden``."""
        name = request.headers["impersonate-user"]
        groups = [g.strip() for g in request.headers.get("impersonate-group", "").split(",") if g]
        for resource, each in (("users", name), *(("groups", group) for group in groups)):
            wanted = Attributes("impersonate", resource=resource, name=each)
            await self._authorizer.check(user, tenant, wanted)
        return User(name, frozenset(groups) or groups_of(name))

    async def _act(self, asked: Asked, measured: Measured) -> Response:
        verb = _verb(asked.request, named=bool(asked.target.name))
        target = asked.target
        measured.is_about(verb or asked.request.method, target.resource.kind.plural)
        if verb is None or (target.tenant == ALL_TENANTS and verb not in ("list", "watch")):
            raise MethodNotAllowed(f"{asked.request.method} is not supported on this path")
        if target.resource.shown and verb not in ("get", "list", "watch"):
            kind = target.resource.kind
            shown = " and ".join(str(one.of) for one in target.resource.shown)
            raise MethodNotAllowed(f"{kind} are what {shown} mean: {verb} those instead")
        act = self._chosen(verb, target)
        if asked.user is not ANONYMOUS:
            await self._authorizer.check(asked.user, target.tenant, _attributes(verb, target))
        if verb not in _WRITING:
            return await act(asked)
        if target.resource.kind in ROLES_AND_BINDINGS:
            await self._check_grant(asked, act)
        if target.resource.kind == NAMESPACE and not target.subresource:
            return await self._security.act_on_namespace(asked, act)
        asked, config = self._rules.applied(asked)
        return await self._trials.act(self._security.applied(asked), act, config.features)

    async def _check_grant(self, asked: Asked, act: Act) -> None:
        """Nobody gives rights away that they do not have: try it dry, and look at what it makes."""
        query = {**asked.request.query, "dryRun": "All"}
        trial = await act(replace(asked, request=replace(asked.request, query=query)))
        await self._authorizer.check_grant(
            asked.user, asked.target, msgspec.json.decode(trial.body)
        )

    def _chosen(self, verb: str, target: Target) -> Act:
        """Who does it; raises ``ApiError`` when nobody can."""
        kind = target.resource.kind
        if target.resource.posted:
            if verb != "create" or target.name:
                raise MethodNotAllowed(f"{kind} can only be posted")
            return self._reviews.answer
        acts = self._computed if target.resource.computed else self._acts
        if verb not in acts:
            raise MethodNotAllowed(f"{kind} cannot be written or watched")
        act: Act | None = acts[verb]
        if target.subresource and target.subresource not in target.resource.subresources:
            special = (verb, target.subresource)
            act = self._pod_acts.get(special) if kind == POD else None
            if kind == SERVICE_ACCOUNT and special == ("create", "token"):
                act = self._reviews.token
        if act is None:
            raise NoSuchPath
        return act


def _attributes(verb: str, target: Target) -> Attributes:
    kind = target.resource.kind
    if target.subresource in _ENTERING and verb == "get":
        verb = "create"  # a WebSocket begins with GET, whatever it is for
    namespace, name = target.namespace, target.name
    return Attributes(verb, kind.group, kind.plural, target.subresource, namespace, name)


def _of_package(request: Request, namespace: str, digest: str) -> Attributes:
    verb = "create" if request.method == "PUT" else "get"
    return Attributes(verb, HEARTH, "packages", namespace=namespace, name=digest)


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
