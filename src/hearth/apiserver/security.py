"""Pod Security: holds pods against the level of their namespace, and what makes pods as well.

Kubernetes warns of a Deployment whose pods a namespace will not have; here a Service, Configuration
or Revision of a user's is refused, for the pods that it would make are.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

import msgspec

from hearth.api.errors import FieldError, Forbidden
from hearth.api.http import Response
from hearth.api.kinds import (
    CONFIGURATION,
    NAMESPACE,
    POD,
    POOLED_REPLICA_SET,
    REVISION,
    SERVICE,
    Kind,
)
from hearth.api.meta import (
    ObjectKey,
    Wire,
    annotations_of,
    controller_of,
    labels_of,
    name_of,
    namespace_of,
    spec_of,
)
from hearth.api.pods import user_container
from hearth.api.podsecurity import Policy, existing_violations, policy_of, violations
from hearth.api.podsecurity.levels import Level
from hearth.apiserver.asked import Asked
from hearth.apiserver.codec import decode, warning_header
from hearth.apiserver.objects import Objects
from hearth.store.core.keys import object_key, resource_prefix

log = logging.getLogger(__name__)

Act: TypeAlias = Callable[[Asked], Awaitable[Response]]

_MAKERS = (SERVICE, CONFIGURATION, REVISION)


class PodSecurity:
    """Knows the policies of all tenants' namespaces."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def applied(self, asked: Asked) -> Asked:
        """The request, with a kind that is held against the namespace's policy.

        What our controllers make of a template was allowed when it was; pods are looked at again.
        """
        target = asked.target
        ours = target.resource.kind in _MAKERS and asked.user.name.startswith("hearth:")
        if target.subresource or ours or target.resource.kind not in (POD, *_MAKERS):
            return asked
        policy = self._policy(target.tenant, target.namespace)
        if policy.is_privileged:
            return asked
        guarded = _Guarded(target.resource.kind, policy)
        resource = target.resource

        def validate(new: Wire, old: Wire | None) -> list[FieldError]:
            faults = resource.validate(new, old)
            if not faults and (old is None or _pod_of(new)[0] != _pod_of(old)[0]):
                guarded.check(new)
            return faults

        def notices(wire: Wire) -> list[str]:
            return [*resource.notices(wire), *guarded.warnings(resource.default(wire, None))]

        held = replace(resource, validate=validate, notices=notices)
        return replace(asked, target=replace(target, resource=held))

    async def act_on_namespace(self, asked: Asked, act: Act) -> Response:
        """Do it, and say which pods a namespace that becomes stricter would not have any more."""
        name = asked.target.name
        before = self._policy(asked.target.tenant, name).enforce
        done = await act(asked)
        now = policy_of(labels_of(msgspec.json.decode(done.body))).enforce
        if not name or not now.is_stricter_than(before):
            return done
        prefix = resource_prefix(POD, asked.target.tenant, name)
        entries, _ = await self._objects.backend.scan(prefix)
        found = existing_violations(now, (decode(entry) for _, entry in entries))
        if not found:
            return done
        said = f'existing pods in namespace "{name}" violate the new PodSecurity enforce level '
        more = warning_header([f'{said}"{now}"', *found])["warning"]
        there = done.headers.get("warning")
        warning = f"{there}, {more}" if there else more
        return replace(done, headers={**done.headers, "warning": warning})

    def check_adoption(self, tenant: str, pod: Wire, adoption: Wire) -> None:
        """Hold a warm pod against the policy of the namespace that is to have it.

        It is what it is, but for what its set's template asks for and the node gives it late.

        Raises:
            Forbidden: it is more than the namespace allows.
        """
        namespace = namespace_of(adoption)
        policy = self._policy(tenant, namespace)
        if policy.is_privileged:
            return
        owner = str((controller_of(adoption) or {}).get("name") or "")
        key = object_key(POOLED_REPLICA_SET, ObjectKey(tenant, namespace, owner))
        entry = self._objects.backend.get(key)
        template = spec_of(decode(entry)).get("template") if entry else None
        claimed = {**pod, "spec": _as_claimed(spec_of(pod), spec_of(template or {}))}
        _Guarded(POD, policy).check(claimed)

    def _policy(self, tenant: str, namespace: str) -> Policy:
        entry = self._objects.backend.get(object_key(NAMESPACE, ObjectKey(tenant, "", namespace)))
        return policy_of(labels_of(decode(entry))) if entry else Policy()


class _Guarded:
    """A kind in a namespace with a policy."""

    def __init__(self, kind: Kind, policy: Policy) -> None:
        self._kind = kind
        self._policy = policy

    def check(self, wire: Wire) -> None:
        """Raises ``Forbidden`` for what the policy does not allow."""
        if said := _said(self._policy.enforce, wire):
            name = name_of(wire) or str((wire.get("metadata") or {}).get("generateName") or "")
            details = {"name": name, "group": self._kind.group, "kind": self._kind.plural}
            fault = f'violates PodSecurity "{self._policy.enforce}": {said}'
            raise Forbidden(f'{self._kind} "{name}" is forbidden: {fault}', details=details)
        if said := _said(self._policy.audit, wire):
            facts = {
                "kind": str(self._kind),
                "object": f"{namespace_of(wire)}/{name_of(wire)}",
                "level": str(self._policy.audit),
                "because": said,
            }
            log.info("would violate pod security", extra={"f": facts})

    def warnings(self, wire: Wire) -> list[str]:
        """What whoever writes it is to be told."""
        said = _said(self._policy.warn, wire)
        return [f'would violate PodSecurity "{self._policy.warn}": {said}'] if said else []


def _said(level: Level, wire: Wire) -> str:
    spec, annotations = _pod_of(wire)
    return violations(level, spec, annotations)


def _pod_of(wire: Wire) -> tuple[Wire, Mapping[str, str]]:
    """The pod spec in an object, and the annotations of its pods."""
    template = spec_of(wire).get("template")
    of = template if isinstance(template, dict) else wire
    return spec_of(of), annotations_of(of)


def _as_claimed(warm: Wire, wanted: Wire) -> Wire:
    """A warm pod's spec with the security contexts that its process takes on."""
    taken = user_container(wanted).get("securityContext") or {}
    containers = [
        {**one, "securityContext": {**(one.get("securityContext") or {}), **taken}}
        for one in warm.get("containers") or ()
    ]
    context = {**(warm.get("securityContext") or {}), **(wanted.get("securityContext") or {})}
    return {**warm, "securityContext": context, "containers": containers}
