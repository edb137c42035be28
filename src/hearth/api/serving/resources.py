"""The four serving kinds as the API serves them."""

from __future__ import annotations

from functools import partial

from hearth.api.config.serving import ServingConfig
from hearth.api.kinds import CONFIGURATION, REVISION, ROUTE, SERVICE
from hearth.api.names import CONFIGURATION_GENERATION_LABEL, CONFIGURATION_LABEL
from hearth.api.registry import Column, Resource, at, condition
from hearth.api.serving import defaults, validation, views
from hearth.api.serving.notices import template_notices

_READY = (
    Column("Ready", condition("Ready", "status")),
    Column("Reason", condition("Ready", "reason")),
)
_LATEST = (
    Column("LatestCreated", at("status", "latestCreatedRevisionName")),
    Column("LatestReady", at("status", "latestReadyRevisionName")),
)
_URL = Column("URL", at("status", "url"))
_CATEGORIES = ("all", "knative", "serving")
_STATUS = frozenset({"status"})


def _service(config: ServingConfig) -> Resource:
    return Resource(
        SERVICE, views.Service, "service", ("kservice", "ksvc"), _CATEGORIES, _STATUS,
        (_URL, *_LATEST, *_READY),
        partial(defaults.default_service, config=config),
        partial(validation.validate_service, config=config),
        notices=partial(template_notices, config=config), configured=_service, name_pattern="any",
    )  # fmt: skip


def _configuration(config: ServingConfig) -> Resource:
    return Resource(
        CONFIGURATION, views.Configuration, "configuration", ("config", "cfg"), _CATEGORIES,
        _STATUS, (*_LATEST, *_READY),
        partial(defaults.default_configuration, config=config),
        partial(validation.validate_configuration, config=config),
        notices=partial(template_notices, config=config), configured=_configuration,
        name_pattern="any",
    )  # fmt: skip


def _revision(config: ServingConfig) -> Resource:
    return Resource(
        REVISION, views.Revision, "revision", ("rev",), _CATEGORIES, _STATUS,
        (
            Column("Config Name", at("metadata", "labels", CONFIGURATION_LABEL)),
            Column("Generation", at("metadata", "labels", CONFIGURATION_GENERATION_LABEL)),
            *_READY,
            Column("Actual Replicas", at("status", "actualReplicas"), "integer"),
            Column("Desired Replicas", at("status", "desiredReplicas"), "integer"),
        ),
        partial(defaults.default_revision, config=config),
        partial(validation.validate_revision, config=config),
        configured=_revision, name_pattern="any",
    )  # fmt: skip


_UNCONFIGURED = ServingConfig()
RESOURCES = (
    _service(_UNCONFIGURED),
    _configuration(_UNCONFIGURED),
    _revision(_UNCONFIGURED),
    Resource(
        ROUTE, views.Route, "route", ("rt",), _CATEGORIES, _STATUS,
        (_URL, *_READY), defaults.default_route, validation.validate_route, name_pattern="any",
    ),
)  # fmt: skip
