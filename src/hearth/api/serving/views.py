"""What the serving kinds look like.

Source: knative.dev/serving pkg/apis/serving/v1.
"""

from __future__ import annotations

from msgspec import field

from hearth.api.core import Object
from hearth.api.podspec import FreeForm, PodSpec
from hearth.api.views import Condition, ObjectMeta, View


class RevisionSpec(PodSpec, frozen=True):
    """A pod spec, and how many requests a pod takes for how long."""

    container_concurrency: int | None = None
    timeout_seconds: int | None = None
    response_start_timeout_seconds: int | None = None
    idle_timeout_seconds: int | None = None


class RevisionTemplateSpec(View, frozen=True):
    """A revision to be made."""

    metadata: ObjectMeta | None = None
    spec: RevisionSpec | None = None


class TrafficTarget(View, frozen=True):
    """Which share of requests goes where."""

    tag: str | None = None
    revision_name: str | None = None
    configuration_name: str | None = None
    latest_revision: bool | None = None
    percent: int | None = None
    url: str | None = None


class Addressable(View, frozen=True):
    """Where an object can be reached from inside."""

    url: str | None = None
    name: str | None = None
    ca_certs: str | None = field(name="CACerts", default=None)
    audience: str | None = None


class ConfigurationSpec(View, frozen=True):
    """The newest revision wanted."""

    template: RevisionTemplateSpec | None = None


class RouteSpec(View, frozen=True):
    """How requests are shared out."""

    traffic: list[TrafficTarget] | None = None


class ServiceSpec(View, frozen=True):
    """A Configuration's and a Route's spec in one."""

    template: RevisionTemplateSpec | None = None
    traffic: list[TrafficTarget] | None = None


class Status(View, frozen=True):
    """Part of every status."""

    observed_generation: int | None = None
    conditions: list[Condition] | None = None
    annotations: dict[str, str] | None = None


class ConfigurationStatus(Status, frozen=True):
    """The newest revisions."""

    latest_ready_revision_name: str | None = None
    latest_created_revision_name: str | None = None


class RouteStatus(Status, frozen=True):
    """Where requests go now."""

    url: str | None = None
    address: Addressable | None = None
    traffic: list[TrafficTarget] | None = None


class ServiceStatus(RouteStatus, frozen=True):
    """The state of the Configuration and the Route."""

    latest_ready_revision_name: str | None = None
    latest_created_revision_name: str | None = None


class RevisionStatus(Status, frozen=True):
    """The state of a revision's workload."""

    log_url: str | None = None
    container_statuses: list[FreeForm] | None = None
    init_container_statuses: list[FreeForm] | None = None
    actual_replicas: int | None = None
    desired_replicas: int | None = None


class Configuration(Object, frozen=True):
    """The newest state wanted of an app; every change makes a Revision."""

    spec: ConfigurationSpec | None = None
    status: ConfigurationStatus | None = None


class Route(Object, frozen=True):
    """A name under which revisions are reached."""

    spec: RouteSpec | None = None
    status: RouteStatus | None = None


class Service(Object, frozen=True):
    """An app: its code and settings, and how requests reach its revisions."""

    spec: ServiceSpec | None = None
    status: ServiceStatus | None = None


class Revision(Object, frozen=True):
    """An immutable snapshot of an app."""

    spec: RevisionSpec | None = None
    status: RevisionStatus | None = None
