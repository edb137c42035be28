"""The pod spec as Kubernetes 1.35 has it: what a manifest may say.

Deeply nested parts that we hand on without reading are free-form objects.

Source: k8s.io/api/core/v1.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import field

from hearth.api.views import LocalObjectReference, ObjectMeta, View

FreeForm: TypeAlias = dict[str, Any]
Quantities: TypeAlias = dict[str, str | int | float]


class EnvSelector(View, frozen=True):
    """A key of a ConfigMap or Secret."""

    name: str | None = None
    key: str | None = None
    optional: bool | None = None


class EnvVarSource(View, frozen=True):
    """Where a variable's value comes from."""

    field_ref: FreeForm | None = None
    resource_field_ref: FreeForm | None = None
    config_map_key_ref: EnvSelector | None = None
    secret_key_ref: EnvSelector | None = None
    file_key_ref: FreeForm | None = None


class EnvVar(View, frozen=True):
    """One environment variable."""

    name: str | None = None
    value: str | None = None
    value_from: EnvVarSource | None = None


class EnvFromReference(View, frozen=True):
    """A whole ConfigMap or Secret."""

    name: str | None = None
    optional: bool | None = None


class EnvFromSource(View, frozen=True):
    """All keys of a ConfigMap or Secret as variables."""

    prefix: str | None = None
    config_map_ref: EnvFromReference | None = None
    secret_ref: EnvFromReference | None = None


class ContainerPort(View, frozen=True):
    """A port that the container listens on."""

    name: str | None = None
    host_port: int | None = None
    container_port: int | None = None
    protocol: str | None = None
    host_ip: str | None = field(name="hostIP", default=None)


class HttpHeader(View, frozen=True):
    """A header of a probe's request."""

    name: str | None = None
    value: str | None = None


class HttpGetAction(View, frozen=True):
    """A probe by HTTP."""

    path: str | None = None
    port: int | str | None = None
    host: str | None = None
    scheme: str | None = None
    http_headers: list[HttpHeader] | None = None


class TcpSocketAction(View, frozen=True):
    """A probe by connecting."""

    port: int | str | None = None
    host: str | None = None


class GrpcAction(View, frozen=True):
    """A probe by gRPC health checking."""

    port: int | None = None
    service: str | None = None


class ExecAction(View, frozen=True):
    """A probe by a command."""

    command: list[str] | None = None


class Probe(View, frozen=True):
    """How to ask a container for its state."""

    exec: ExecAction | None = None
    http_get: HttpGetAction | None = None
    tcp_socket: TcpSocketAction | None = None
    grpc: GrpcAction | None = None
    initial_delay_seconds: int | None = None
    timeout_seconds: int | None = None
    period_seconds: int | None = None
    success_threshold: int | None = None
    failure_threshold: int | None = None
    termination_grace_period_seconds: int | None = None


class ResourceRequirements(View, frozen=True):
    """What a container asks for, and may use at most."""

    limits: Quantities | None = None
    requests: Quantities | None = None
    claims: list[FreeForm] | None = None


class VolumeMount(View, frozen=True):
    """Where a volume appears in the container."""

    name: str | None = None
    read_only: bool | None = None
    recursive_read_only: str | None = None
    mount_path: str | None = None
    sub_path: str | None = None
    sub_path_expr: str | None = None
    mount_propagation: str | None = None


class Container(View, frozen=True):
    """One container of a pod."""

    name: str | None = None
    image: str | None = None
    command: list[str] | None = None
    args: list[str] | None = None
    working_dir: str | None = None
    ports: list[ContainerPort] | None = None
    env_from: list[EnvFromSource] | None = None
    env: list[EnvVar] | None = None
    resources: ResourceRequirements | None = None
    resize_policy: list[FreeForm] | None = None
    restart_policy: str | None = None
    restart_policy_rules: list[FreeForm] | None = None
    volume_mounts: list[VolumeMount] | None = None
    volume_devices: list[FreeForm] | None = None
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: FreeForm | None = None
    termination_message_path: str | None = None
    termination_message_policy: str | None = None
    image_pull_policy: str | None = None
    security_context: FreeForm | None = None
    stdin: bool | None = None
    stdin_once: bool | None = None
    tty: bool | None = None


class Volume(View, frozen=True):
    """A volume: its name and one source."""

    name: str | None = None
    config_map: FreeForm | None = None
    secret: FreeForm | None = None
    projected: FreeForm | None = None
    empty_dir: FreeForm | None = None
    persistent_volume_claim: FreeForm | None = None
    host_path: FreeForm | None = None
    downward_api: FreeForm | None = field(name="downwardAPI", default=None)
    csi: FreeForm | None = None
    ephemeral: FreeForm | None = None
    image: FreeForm | None = None
    nfs: FreeForm | None = None
    iscsi: FreeForm | None = None


class PodSpec(View, frozen=True):
    """What a pod runs, and how."""

    volumes: list[Volume] | None = None
    init_containers: list[Container] | None = None
    containers: list[Container] | None = None
    ephemeral_containers: list[FreeForm] | None = None
    restart_policy: str | None = None
    termination_grace_period_seconds: int | None = None
    active_deadline_seconds: int | None = None
    dns_policy: str | None = None
    dns_config: FreeForm | None = None
    node_selector: dict[str, str] | None = None
    service_account_name: str | None = None
    service_account: str | None = None
    automount_service_account_token: bool | None = None
    node_name: str | None = None
    host_network: bool | None = None
    host_pid: bool | None = field(name="hostPID", default=None)
    host_ipc: bool | None = field(name="hostIPC", default=None)
    host_users: bool | None = None
    hostname_override: str | None = None
    share_process_namespace: bool | None = None
    security_context: FreeForm | None = None
    image_pull_secrets: list[LocalObjectReference] | None = None
    hostname: str | None = None
    subdomain: str | None = None
    affinity: FreeForm | None = None
    scheduler_name: str | None = None
    tolerations: list[FreeForm] | None = None
    host_aliases: list[FreeForm] | None = None
    priority_class_name: str | None = None
    priority: int | None = None
    preemption_policy: str | None = None
    readiness_gates: list[FreeForm] | None = None
    runtime_class_name: str | None = None
    enable_service_links: bool | None = None
    overhead: Quantities | None = None
    topology_spread_constraints: list[FreeForm] | None = None
    set_hostname_as_fqdn: bool | None = field(name="setHostnameAsFQDN", default=None)
    os: FreeForm | None = None
    scheduling_gates: list[FreeForm] | None = None
    resource_claims: list[FreeForm] | None = None
    resources: ResourceRequirements | None = None


class PodTemplateSpec(View, frozen=True):
    """A pod to be made."""

    metadata: ObjectMeta | None = None
    spec: PodSpec | None = None
