"""What ``config-autoscaler`` allows revisions to ask for, as it is stored now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from hearth.api.config import read_autoscaler
from hearth.api.kinds import CONFIG_MAP, SERVING
from hearth.api.meta import ObjectKey
from hearth.api.names import KNATIVE_NAMESPACE
from hearth.api.serving.annotations import RULES, ScaleRules
from hearth.apiserver.asked import Asked
from hearth.apiserver.codec import decode
from hearth.apiserver.objects import Objects
from hearth.store.core.keys import object_key

_NAME = "config-autoscaler"


class ClusterRules:
    """Reads the rules of each tenant, and again when they have changed."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._read: dict[str, tuple[int, ScaleRules]] = {}

    @contextmanager
    def of(self, asked: Asked) -> Iterator[None]:
        """Hold what a user writes against the rules, within the block.

        What our controllers write was allowed when its template was: a rule that is stricter now
        must not keep a revision from being labelled.
        """
        kind = asked.target.resource.kind
        ours = asked.user.name.startswith("hearth:")
        if kind.group != SERVING or asked.target.subresource or ours:
            yield
            return
        token = RULES.set(self._rules(asked.target.tenant))
        try:
            yield
        finally:
            RULES.reset(token)

    def _rules(self, tenant: str) -> ScaleRules:
        key = object_key(CONFIG_MAP, ObjectKey(tenant, KNATIVE_NAMESPACE, _NAME))
        entry = self._objects.backend.get(key)
        if entry is None:
            return ScaleRules()
        version, rules = self._read.get(tenant, (0, ScaleRules()))
        if version != entry.modified:
            with suppress(ValueError):  # stored by an older program: what held holds
                rules = read_autoscaler(decode(entry).get("data") or {}).rules
            self._read[tenant] = (entry.modified, rules)
        return rules
