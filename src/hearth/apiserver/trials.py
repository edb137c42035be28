"""Tries the pod that a template would make, when whoever writes the template asks for it.

Knative does so for writes that are dry runs themselves and, in earlier releases, for Services with
an annotation; both hold here.

Source: knative.dev/serving pkg/webhook/podspec_dryrun.go and validate_unstructured.go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

import msgspec

from hearth.api.config.features import FeaturesConfig, Flag
from hearth.api.errors import ApiError, BadRequest
from hearth.api.http import Request, Response
from hearth.api.kinds import CONFIGURATION, POD, SERVICE
from hearth.api.meta import Wire, annotations_of, labels_of, spec_of
from hearth.api.resources import resource_for
from hearth.apiserver.asked import Asked
from hearth.apiserver.codec import JSON
from hearth.apiserver.core.paths import Target
from hearth.apiserver.objects import Objects
from hearth.store.core.keys import object_key

Act: TypeAlias = Callable[[Asked], Awaitable[Response]]

ANNOTATION = "features.knative.dev/podspec-dryrun"
_FLAG = "podspec-dryrun"
_ON = ("enabled", "strict")
_REVISION_FIELDS = ("containerConcurrency", "timeoutSeconds", "responseStartTimeoutSeconds",
                    "idleTimeoutSeconds")  # fmt: skip


class PodTrials:
    """Stands before the writes of templates."""

    def __init__(self, objects: Objects, create_pod: Act) -> None:
        """``create_pod`` answers a request for a new pod of whoever may ask for it."""
        self._objects = objects
        self._create_pod = create_pod

    async def act(self, asked: Asked, act: Act, features: FeaturesConfig) -> Response:
        """Do it, but try the pod before or, in a dry run, after.

        Raises:
            BadRequest: such a pod would be refused; the message says why.
        """
        if asked.target.resource.kind not in (SERVICE, CONFIGURATION) or asked.target.subresource:
            return await act(asked)
        if asked.dry_run:
            done = await act(asked)
            await self._try(asked, msgspec.json.decode(done.body))
            return done
        if self._may_want(asked, features):
            dry = {**asked.request.query, "dryRun": "All"}
            done = await act(replace(asked, request=replace(asked.request, query=dry)))
            made = msgspec.json.decode(done.body)
            on = features.written.get(_FLAG) is Flag.ENABLED
            if on or annotations_of(made).get(ANNOTATION) in _ON:
                await self._try(asked, made)
        return await act(asked)

    def _may_want(self, asked: Asked, features: FeaturesConfig) -> bool:
        """Whether it is worth to look at what the write makes."""
        if features.is_disabled(_FLAG) or asked.user.name.startswith("hearth:"):
            return False
        if features.written.get(_FLAG) is Flag.ENABLED:
            return True
        entry = self._objects.backend.get(object_key(asked.target.resource.kind, asked.target.key))
        there = entry.value if entry else b""
        return any(ANNOTATION.encode() in where for where in (asked.request.body, there))

    async def _try(self, asked: Asked, made: Wire) -> None:
        template = spec_of(made).get("template")
        if not isinstance(template, dict) or "serving.knative.dev/service" in labels_of(made):
            return  # a Service's Configuration was tried with it
        spec = {k: v for k, v in spec_of(template).items() if k not in _REVISION_FIELDS}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"generateName": "dry-run-validation"},
            "spec": spec,
        }
        resource = resource_for("", "v1", POD.plural)
        assert resource is not None
        where = Target(asked.target.tenant, resource, asked.target.namespace)
        request = Request(
            "POST", asked.request.path, {"dryRun": "All"}, JSON, msgspec.json.encode(pod)
        )
        try:
            await self._create_pod(Asked(where, request, asked.user))
        except ApiError as error:
            said = f"validation callback failed: dry run failed with {error}: spec.template"
            raise BadRequest(said) from error
