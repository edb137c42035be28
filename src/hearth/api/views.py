"""Base of all views, and the parts that every object has.

Source: k8s.io/apimachinery/pkg/apis/meta/v1.
"""

from __future__ import annotations

from typing import Any

import msgspec


class View(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Base of all views: camelCase on the wire."""


class OwnerReference(View, frozen=True):
    """Who owns an object: it goes when its owners are gone."""

    api_version: str | None = None
    kind: str | None = None
    name: str | None = None
    uid: str | None = None
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(View, frozen=True):
    """What every object has."""

    name: str | None = None
    generate_name: str | None = None
    namespace: str | None = None
    self_link: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    generation: int | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[OwnerReference] | None = None
    finalizers: list[str] | None = None
    managed_fields: list[dict[str, Any]] | None = None


class LabelSelectorRequirement(View, frozen=True):
    """One condition on a label."""

    key: str | None = None
    operator: str | None = None
    values: list[str] | None = None


class LabelSelector(View, frozen=True):
    """Which objects are meant, by their labels."""

    match_labels: dict[str, str] | None = None
    match_expressions: list[LabelSelectorRequirement] | None = None


class Condition(View, frozen=True):
    """One aspect of an object's state."""

    type: str | None = None
    status: str | None = None
    severity: str | None = None
    reason: str | None = None
    message: str | None = None
    last_transition_time: str | None = None
    last_probe_time: str | None = None
    last_heartbeat_time: str | None = None
    observed_generation: int | None = None


class LocalObjectReference(View, frozen=True):
    """An object of the same namespace, by name."""

    name: str | None = None


class ObjectReference(View, frozen=True):
    """Any object."""

    api_version: str | None = None
    kind: str | None = None
    namespace: str | None = None
    name: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    field_path: str | None = None
