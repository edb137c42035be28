"""The verbs that write: create, update, patch, delete, and the pods' binding and adoption."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec

from hearth.api import managed_fields
from hearth.api.accounts import ROOT_CA
from hearth.api.errors import AlreadyExists, BadRequest, NotFound
from hearth.api.http import Response
from hearth.api.kinds import CONFIG_MAP, NAMESPACE, SERVICE_ACCOUNT
from hearth.api.meta import Wire, metadata, name_of
from hearth.api.resources import resource_for
from hearth.apiserver.admission import Admission
from hearth.apiserver.asked import Asked
from hearth.apiserver.codec import JSON, decode, json_response, parse_body, warning_header
from hearth.apiserver.core.lifecycle import Writer, check_fields, check_kind, parse_checked
from hearth.apiserver.core.patching import (
    APPLY_PATCH,
    MERGE_PATCH,
    check_patch_type,
    names_version,
    patched,
)
from hearth.apiserver.core.paths import Target
from hearth.apiserver.objects import Change, Objects, Outcome
from hearth.apiserver.security import PodSecurity
from hearth.apiserver.subresources import adopt, bind, scale_of, with_scale
from hearth.kit.clock import Clock
from hearth.store.core.keys import parse_key


class Writing:
    """Answers the writing verbs."""

    def __init__(self, objects: Objects, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock
        self._admission = Admission(objects)
        self._security = PodSecurity(objects)

    async def create(self, asked: Asked) -> Response:
        """A new object."""
        by, body = asked.writer(self._clock.now()), parse_body(asked.request)
        if asked.target.name:
            raise NotFound("only subresources can be created below an object")
        outcome = await self._create(asked, asked.target, body, by)
        if asked.target.resource.kind == NAMESPACE and not asked.dry_run:
            await self._furnish(asked.target, outcome.wire, by)
        return _written(outcome)

    async def _create(self, asked: Asked, target: Target, body: Any, by: Writer) -> Outcome:
        """Store a new object that its namespace's limits allow."""
        if not isinstance(body, dict):
            return await self._objects.create(target, body, by, dry_run=asked.dry_run)
        body = await self._admission.completed(target, body)
        where = (target.resource, target.tenant, target.namespace)
        async with self._admission.within_quota(*where, body):
            return await self._objects.create(target, body, by, dry_run=asked.dry_run)

    async def _furnish(self, target: Target, namespace: Wire, by: Writer) -> None:
        """Give a new namespace the account that its pods have, and the authority they trust."""
        account, trust = (resource_for("", "v1", k.plural) for k in (SERVICE_ACCOUNT, CONFIG_MAP))
        assert account is not None
        assert trust is not None
        with contextlib.suppress(AlreadyExists):
            where = Target(target.tenant, account, name_of(namespace))
            await self._objects.create(where, {"metadata": {"name": "default"}}, by)
        with contextlib.suppress(AlreadyExists, NotFound):
            first = Target(target.tenant, trust, "default", ROOT_CA)
            data = decode(await self._objects.get(first)).get("data")
            where = Target(target.tenant, trust, name_of(namespace))
            await self._objects.create(where, {"metadata": {"name": ROOT_CA}, "data": data}, by)

    async def update(self, asked: Asked) -> Response:
        """An object replaced as a whole."""
        by, body = asked.writer(self._clock.now()), parse_body(asked.request)
        if asked.target.subresource == "scale":
            return await self._scale(asked, lambda wire: with_scale(wire, body))
        return _written(await self._objects.update(asked.target, body, by, dry_run=asked.dry_run))

    async def patch(self, asked: Asked) -> Response:
        """An object changed in parts."""
        target, media = asked.target, asked.media
        check_patch_type(target.resource, media)
        patch = parse_body(asked.request)
        if target.subresource == "scale":
            return await self._scale(asked, _scaled(patch, media))
        if media == APPLY_PATCH:
            return await self._apply(asked, patch)
        by, warnings = asked.writer(self._clock.now()), []
        if media == MERGE_PATCH and isinstance(patch, dict):  # what it leaves alone was checked
            placed = _to_apply(target, patch)
            warnings = check_fields(target.resource, placed, by.strictness, target.name)

        def change(wire: Wire) -> Wire:
            changed = patched(wire, patch, media)
            if media == MERGE_PATCH:
                check_kind(target.resource, changed)
            else:
                warnings[:] = parse_checked(target.resource, changed, by.strictness)
            return changed if names_version(patch) else _without_version(changed)

        outcome = await self._objects.change(target, change, by, dry_run=asked.dry_run)
        outcome.warnings = warnings
        return _written(outcome)

    async def _apply(self, asked: Asked, applied: Any) -> Response:
        target, by = asked.target, asked.writer(self._clock.now())
        if not asked.request.query.get("fieldManager"):
            raise BadRequest("fieldManager is required for apply patch")
        warnings = parse_checked(target.resource, applied, by.strictness)
        force = asked.request.query.get("force") == "true"
        wanted = _to_apply(target, applied)

        def change(wire: Wire) -> Wire:
            merged = managed_fields.apply(
                wire, wanted, by.manager, by.at, force=force, subresource=target.subresource
            )
            return merged if names_version(wanted) else _without_version(merged)

        try:
            outcome = await self._objects.change(target, change, by, dry_run=asked.dry_run)
        except NotFound:
            if target.subresource or names_version(wanted):
                raise
            new = managed_fields.apply(None, wanted, by.manager, by.at, force=force)
            where = Target(target.tenant, target.resource, target.namespace)
            outcome = await self._create(asked, where, new, by)
        outcome.warnings = warnings
        return _written(outcome)

    async def _scale(self, asked: Asked, change: Change) -> Response:
        by = asked.writer(self._clock.now())
        outcome = await self._objects.change(asked.target.whole, change, by, dry_run=asked.dry_run)
        return json_response(scale_of(msgspec.json.decode(outcome.body)))

    async def delete(self, asked: Asked) -> Response:
        """The end of one object, or its beginning."""
        if asked.target.subresource:
            raise NotFound("only whole objects can be deleted")
        return _written(await self._objects.delete(asked.target, _delete_options(asked)))

    async def delete_collection(self, asked: Asked) -> Response:
        """The end of the selected objects."""
        target, options = asked.target, _delete_options(asked)
        entries, _ = await self._objects.find(target, asked.labels(), asked.fields())
        gone = []
        for key, _ in entries:
            own = parse_key(key)[2]
            one = Target(own.tenant, target.resource, own.namespace, own.name)
            try:
                gone.append((await self._objects.delete(one, options)).body)
            except NotFound:
                continue  # someone else was first
        kind = target.resource.kind
        head = {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": {}}
        body = msgspec.json.encode(head)[:-1] + b',"items":[' + b",".join(gone) + b"]}"
        return Response(200, JSON, body)

    async def bind(self, asked: Asked) -> Response:
        """A pod put on a node."""
        by, body = asked.writer(self._clock.now()), parse_body(asked.request)
        await bind(self._objects, asked.target, body, by)
        done = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        return json_response({**done, "code": 201}, 201)

    async def adopt(self, asked: Asked) -> Response:
        """A warm pod moved into the namespace of the revision that claimed it."""
        by, body = asked.writer(self._clock.now()), parse_body(asked.request)
        whole = asked.target.whole
        pod: Wire = {}
        with contextlib.suppress(NotFound):  # which adopting says better
            pod = decode(await self._objects.get(whole))
        namespace = str(metadata(body if isinstance(body, dict) else {}).get("namespace") or "")
        if pod and namespace and namespace != whole.namespace:
            self._security.check_adoption(whole.tenant, pod, body)
        where = (whole.resource, whole.tenant, namespace if namespace != whole.namespace else "")
        async with self._admission.within_quota(*where, pod):
            outcome = await adopt(self._objects, whole, body, by)
        return Response(200, JSON, outcome.body)


def _written(outcome: Outcome) -> Response:
    headers = {**JSON, **warning_header(outcome.warnings)}
    return Response(201 if outcome.created else 200, headers, outcome.body)


def _scaled(patch: Any, media: str) -> Change:
    def change(wire: Wire) -> Wire:
        scale = patched(scale_of(wire), patch, media)
        return with_scale(wire, scale if names_version(patch) else _without_version(scale))

    return change


def _to_apply(target: Target, applied: Wire) -> Wire:
    """What is applied, to the object that the path names; of a status nothing else."""
    meta = {k: v for k, v in metadata(applied).items() if k != "managedFields"}
    meta["name"] = target.name
    if target.namespace:
        meta["namespace"] = target.namespace
    if target.subresource == "status":
        applied = {k: v for k, v in applied.items() if k in ("apiVersion", "kind", "status")}
    return {**applied, "metadata": meta}


def _without_version(wire: Wire) -> Wire:
    meta = {k: v for k, v in metadata(wire).items() if k != "resourceVersion"}
    return {**wire, "metadata": meta}


def _delete_options(asked: Asked) -> Wire:
    body = parse_body(asked.request)
    options: Wire = dict(body) if isinstance(body, dict) else {}
    for name in ("propagationPolicy", "dryRun"):
        if asked.request.query.get(name):
            options[name] = asked.request.query[name]
    if asked.request.query.get("gracePeriodSeconds"):
        options["gracePeriodSeconds"] = asked.number("gracePeriodSeconds", 0)
    _check_delete_options(options)
    return options


def _check_delete_options(options: Wire) -> None:
    grace = options.get("gracePeriodSeconds")
    if grace is not None and (isinstance(grace, bool) or not isinstance(grace, int) or grace < 0):
        raise BadRequest(f"gracePeriodSeconds is {grace!r}, expected a number >= 0")
    policy = options.get("propagationPolicy")
    if policy not in (None, "", "Background", "Foreground", "Orphan"):
        raise BadRequest(
            f"propagationPolicy is {policy!r}, expected Background, Foreground or Orphan"
        )
    if not isinstance(options.get("preconditions", {}), dict | None):
        raise BadRequest("preconditions is not an object")
