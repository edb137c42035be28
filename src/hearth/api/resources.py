"""All kinds that the API serves, by group, version and plural."""

from __future__ import annotations

from dataclasses import replace

from hearth.api import (
    access,
    autoscaling,
    cluster,
    core,
    hearth_v1alpha1,
    networking,
    serving,
    shown,
    storage,
)
from hearth.api.config.admission import config_map_notices, validate_config_map
from hearth.api.kinds import CONFIG_MAP
from hearth.api.registry import Resource

RESOURCES: tuple[Resource, ...] = (
    *(
        replace(each, validate=validate_config_map, notices=config_map_notices)
        if each.kind == CONFIG_MAP
        else each
        for each in core.RESOURCES
    ),
    *serving.RESOURCES,
    *networking.RESOURCES,
    *storage.RESOURCES,
    *cluster.RESOURCES,
    *access.RESOURCES,
    *hearth_v1alpha1.RESOURCES,
    *shown.RESOURCES,
    *autoscaling.RESOURCES,
)
_BY_PATH = {(r.kind.group, r.kind.version, r.kind.plural): r for r in RESOURCES}


def resource_for(group: str, version: str, plural: str) -> Resource | None:
    """The resource of that REST path, or None."""
    return _BY_PATH.get((group, version, plural))
