"""Answers questions: who am I, may I, whose is this token; and makes service accounts' tokens.

Source: k8s.io/api/authentication/v1, k8s.io/api/authorization/v1.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hearth.api.errors import BadRequest, FieldError, Unauthorized, invalid
from hearth.api.http import Response
from hearth.api.kinds import (
    LOCAL_SUBJECT_ACCESS_REVIEW,
    POD,
    SECRET,
    SELF_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_REVIEW,
    SELF_SUBJECT_RULES_REVIEW,
    SUBJECT_ACCESS_REVIEW,
    TOKEN_REVIEW,
)
from hearth.api.meta import Wire, name_of, spec_of, uid_of
from hearth.api.resources import resource_for
from hearth.apiserver.asked import Asked
from hearth.apiserver.auth import Authenticator, User
from hearth.apiserver.authorizing import Authorizer
from hearth.apiserver.codec import decode, json_response, parse_body
from hearth.apiserver.core.lifecycle import check_kind
from hearth.apiserver.core.paths import Target
from hearth.apiserver.core.rbac import AUTHENTICATED, Attributes
from hearth.apiserver.objects import Objects
from hearth.apiserver.tokens import LIFETIME_S, LIFETIME_S_MIN, Tokens
from hearth.kit.times import rfc3339


class Reviews:
    """Answers what is posted to be answered."""

    def __init__(
        self,
        objects: Objects,
        authenticator: Authenticator,
        authorizer: Authorizer,
        tokens: Tokens,
    ) -> None:
        self._objects = objects
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._tokens = tokens

    async def answer(self, asked: Asked) -> Response:
        """The question with its answer as status."""
        body = parse_body(asked.request)
        if not isinstance(body, dict):
            raise BadRequest(f"the body is not an object, expected a {asked.target.resource.kind}")
        check_kind(asked.target.resource, body)
        status = await self._status(asked, spec_of(body))
        meta = {**(body.get("metadata") or {})}
        meta.setdefault("creationTimestamp", None)
        return json_response({**body, "metadata": meta, "status": status}, 201)

    async def _status(self, asked: Asked, spec: Wire) -> Wire:
        tenant, user = asked.target.tenant, asked.user
        match asked.target.resource.kind:
            case kind if kind == SELF_SUBJECT_REVIEW:
                return {"userInfo": _info(user)}
            case kind if kind == TOKEN_REVIEW:
                return self._token(spec, tenant)
            case kind if kind == SELF_SUBJECT_RULES_REVIEW:
                return await self._rules(user, tenant, str(spec.get("namespace") or ""))
            case kind if kind == SELF_SUBJECT_ACCESS_REVIEW:
                return await self._access(user, tenant, spec)
            case kind if kind in (SUBJECT_ACCESS_REVIEW, LOCAL_SUBJECT_ACCESS_REVIEW):
                if not spec.get("user") and not spec.get("groups"):
                    said = "Invalid value: at least one of user or group must be specified"
                    raise invalid(kind.kind, kind.group, "", [FieldError("spec.user", said)])
                groups = frozenset(spec.get("groups") or ())
                return await self._access(User(str(spec.get("user") or ""), groups), tenant, spec)
        raise AssertionError(asked.target.resource.kind)

    async def _access(self, user: User, tenant: str, spec: Wire) -> Wire:
        allowed = await self._authorizer.allows(user, tenant, attributes_of(spec))
        return {"allowed": allowed} if allowed else {"allowed": False, "reason": ""}

    async def _rules(self, user: User, tenant: str, namespace: str) -> Wire:
        if not namespace:
            raise BadRequest("no namespace on request")
        rules = await self._authorizer.rules(user, tenant, namespace)
        return {
            "resourceRules": [r for r in rules if "nonResourceURLs" not in r],
            "nonResourceRules": [r for r in rules if "nonResourceURLs" in r],
            "incomplete": False,
        }

    def _token(self, spec: Wire, tenant: str) -> Wire:
        audiences = list(spec.get("audiences") or ())
        try:
            user = self._authenticator.user_of_token(
                str(spec.get("token") or ""), tenant, audiences
            )
        except Unauthorized as error:
            return {"authenticated": False, "user": {}, "error": error.message}
        found: Wire = {"authenticated": True, "user": _info(user)}
        return {**found, "audiences": audiences} if audiences else found

    async def token(self, asked: Asked) -> Response:
        """A token for the service account that the path names."""
        body = parse_body(asked.request)
        spec = spec_of(body if isinstance(body, dict) else {})
        account = decode(await self._objects.get(asked.target.whole))
        lifetime_s = int(spec.get("expirationSeconds") or LIFETIME_S)
        if lifetime_s < LIFETIME_S_MIN:
            said = f"Invalid value: {lifetime_s}: may not specify a duration less than 10 minutes"
            fault = FieldError("spec.expirationSeconds", said)
            raise invalid("TokenRequest", "authentication.k8s.io", "", [fault])
        bound = await self._bound(asked, spec.get("boundObjectRef"))
        audiences = [str(one) for one in spec.get("audiences") or ()]
        issued = self._tokens.issue(account, audiences, lifetime_s, bound)
        at = rfc3339(datetime.fromtimestamp(issued.expires_s, UTC))
        answer = {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": name_of(account), "namespace": asked.target.namespace},
            "spec": {**spec, "expirationSeconds": lifetime_s},
            "status": {"token": issued.token, "expirationTimestamp": at},
        }
        return json_response(answer, 201)

    async def _bound(self, asked: Asked, ref: Any) -> Wire | None:
        if not ref:
            return None
        kinds = {kind.kind: kind for kind in (POD, SECRET)}
        kind = kinds.get(str(ref.get("kind")))
        resource = resource_for("", "v1", kind.plural) if kind is not None else None
        if resource is None:
            raise BadRequest(f"cannot bind token for serviceaccount to type {ref.get('kind')}")
        where = Target(asked.target.tenant, resource, asked.target.namespace, str(ref.get("name")))
        if resource.kind == POD and ref.get("uid"):  # a warm pod is being claimed: it may move yet
            return {"kind": "Pod", "name": ref["name"], "uid": ref["uid"]}
        found = decode(await self._objects.get(where))
        return {"kind": resource.kind.kind, "name": ref.get("name"), "uid": uid_of(found)}


def attributes_of(spec: Wire) -> Attributes:
    """What an access review asks for."""
    verb = str((spec.get("resourceAttributes") or spec.get("nonResourceAttributes") or {})
               .get("verb") or "")  # fmt: skip
    if about := spec.get("nonResourceAttributes"):
        return Attributes(verb, path=str(about.get("path") or ""))
    about = spec.get("resourceAttributes") or {}
    return Attributes(
        verb,
        group=str(about.get("group") or ""),
        resource=str(about.get("resource") or ""),
        subresource=str(about.get("subresource") or ""),
        namespace=str(about.get("namespace") or ""),
        name=str(about.get("name") or ""),
    )


def _info(user: User) -> Wire:
    info: Wire = {"username": user.name, "groups": sorted({*user.groups, AUTHENTICATED})}
    if user.uid:
        info["uid"] = user.uid
    if user.extra:
        info["extra"] = {name: list(values) for name, values in user.extra.items()}
    return info
