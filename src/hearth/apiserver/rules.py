"""Kinds as the config maps want them, as those are stored now."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from hearth.api.config.serving import (
    ADMITTED,
    AUTOSCALER,
    DEFAULTS,
    FEATURES,
    ServingConfig,
    read_serving,
)
from hearth.api.kinds import CONFIG_MAP
from hearth.api.meta import ObjectKey
from hearth.api.names import KNATIVE_NAMESPACE
from hearth.apiserver.asked import Asked
from hearth.apiserver.codec import decode
from hearth.apiserver.objects import Objects
from hearth.store import Entry
from hearth.store.core.keys import object_key

_NAMES = (AUTOSCALER, DEFAULTS, FEATURES)


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read from which versions of the maps."""

    versions: tuple[int, ...] = ()
    config: ServingConfig = field(default_factory=ServingConfig)


class ClusterRules:
    """Reads the maps of each tenant, and again when one has changed."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._read: dict[str, _Read] = {}

    def applied(self, asked: Asked) -> tuple[Asked, ServingConfig]:
        """The request, with the kind that it is about as the config maps want it, and those.

        What our controllers write was allowed when its template was.
        """
        configured = asked.target.resource.configured
        if configured is None or asked.target.subresource:
            return asked, ADMITTED
        ours = asked.user.name.startswith("hearth:")
        config = ADMITTED if ours else self._config(asked.target.tenant)
        target = replace(asked.target, resource=configured(config))
        return replace(asked, target=target), config

    def _config(self, tenant: str) -> ServingConfig:
        entries = {name: self._entry(tenant, name) for name in _NAMES}
        versions = tuple(entry.modified if entry else 0 for entry in entries.values())
        read = self._read.get(tenant, _Read())
        if read.versions != versions:
            config = read.config
            with suppress(ValueError):  # stored by an older program: what held holds
                config = read_serving({name: _data(entry) for name, entry in entries.items()})
            read = self._read[tenant] = _Read(versions, config)
        return read.config

    def _entry(self, tenant: str, name: str) -> Entry | None:
        key = ObjectKey(tenant, KNATIVE_NAMESPACE, name)
        return self._objects.backend.get(object_key(CONFIG_MAP, key))


def _data(entry: Entry | None) -> Mapping[str, str]:
    return (decode(entry).get("data") or {}) if entry else {}
