"""The processes of Hearth as Deployments, and the Services by which they are reached."""

from __future__ import annotations

from dataclasses import dataclass, field

from hearth.api.kinds import CORE_SERVICE, DEPLOYMENT, POD_DISRUPTION_BUDGET
from hearth.api.meta import Wire
from hearth.api.names import (
    CONTROLLER_ACCOUNT,
    GATEWAY_ACCOUNT,
    INSIDE_SERVICE,
    READY_PATH,
    SYSTEM_NAMESPACE,
    WEBHOOK_SERVICE,
)
from hearth.install.objects import NAME_LABEL, PART_OF, make
from hearth.install.options import Options

AUTOSCALER_PORT, WEBHOOK_PORT, METRICS_PORT = 8443, 8444, 9090
HTTP_PORT, HTTPS_PORT, INSIDE_PORT, INSIDE_HTTPS_PORT = 8080, 8443, 8081, 8445
_STATE = "/var/lib/hearth"
_DRAIN_S = 5  #: until all nodes have heard that a gateway is going
_USER = 65532
_ANYWHERE = "0.0.0.0"


@dataclass(frozen=True, slots=True)
class _Part:
    """What differs between the Deployments."""

    name: str  #: also of its service account
    image: str
    command: str  #: of ``hearth``
    settings: dict[str, str]
    ports: dict[str, int]
    probe: Wire
    requests: dict[str, str]  #: measured: docs/kubernetes.md
    memory_limit: str
    replicas: int = 1
    strategy: Wire = field(default_factory=dict)
    drain_s: int = 0


def make_workloads(options: Options) -> list[Wire]:
    """Deployments, Services and disruption budgets."""
    controller, gateway = _controller(options), _gateway(options)
    shard = f"autoscaler-{options.shard}"
    edge = {"type": options.service_type} if options.service_type else {}
    return [
        _service(WEBHOOK_SERVICE, CONTROLLER_ACCOUNT, {"https": (443, WEBHOOK_PORT)}),
        _service(shard, CONTROLLER_ACCOUNT, {"https": (AUTOSCALER_PORT, AUTOSCALER_PORT)}),
        _service(
            GATEWAY_ACCOUNT,
            GATEWAY_ACCOUNT,
            {"http": (80, HTTP_PORT), "https": (443, HTTPS_PORT)},
            **edge,
        ),
        _service(
            INSIDE_SERVICE,
            GATEWAY_ACCOUNT,
            {"http": (80, INSIDE_PORT), "https": (443, INSIDE_HTTPS_PORT)},
        ),
        _deployment(controller, options),
        _deployment(gateway, options),
        make(
            POD_DISRUPTION_BUDGET,
            GATEWAY_ACCOUNT,
            SYSTEM_NAMESPACE,
            spec={"maxUnavailable": 1, "selector": {"matchLabels": _selector(GATEWAY_ACCOUNT)}},
        ),
    ]


def _controller(options: Options) -> _Part:
    ready = {"path": READY_PATH, "port": WEBHOOK_PORT, "scheme": "HTTPS"}
    return _Part(
        CONTROLLER_ACCOUNT,
        options.image("hearth"),
        "controller",
        {
            "HEARTH_DOMAIN": options.domain,
            "HEARTH_HTTP_PORT": "80",
            "HEARTH_HTTPS_PORT": "443",
            "HEARTH_AUTOSCALER_HOST": _ANYWHERE,
            "HEARTH_AUTOSCALER_PORT": str(AUTOSCALER_PORT),
            "HEARTH_WEBHOOK_HOST": _ANYWHERE,
            "HEARTH_WEBHOOK_PORT": str(WEBHOOK_PORT),
            "HEARTH_SHARD": options.shard,
        },
        {"autoscaler": AUTOSCALER_PORT, "webhooks": WEBHOOK_PORT},
        {"httpGet": ready},
        {"cpu": "100m", "memory": "128Mi"},
        "1Gi",
        # One claims at a time: the next begins when this one has ended.
        strategy={"type": "Recreate"},
    )


def _gateway(options: Options) -> _Part:
    return _Part(
        GATEWAY_ACCOUNT,
        options.image("hearth-gateway"),
        "gateway",
        {
            "HEARTH_STATE": f"{_STATE}/own",  # the volume itself is root's
            "HEARTH_HTTP_HOST": _ANYWHERE,
            "HEARTH_HTTP_PORT": str(HTTP_PORT),
            "HEARTH_HTTPS_PORT": str(HTTPS_PORT),
            "HEARTH_INSIDE_HOST": _ANYWHERE,
            "HEARTH_INSIDE_PORT": str(INSIDE_PORT),
            "HEARTH_INSIDE_HTTPS_PORT": str(INSIDE_HTTPS_PORT),
            "HEARTH_AUTOSCALER": (
                f"https://autoscaler-{{shard}}.{SYSTEM_NAMESPACE}.svc:{AUTOSCALER_PORT}"
            ),
            "HEARTH_ENVOY_WORKERS": str(options.envoy_workers),
        },
        {"http": HTTP_PORT, "https": HTTPS_PORT, "inside": INSIDE_PORT},
        {"tcpSocket": {"port": HTTP_PORT}},
        {"cpu": "200m", "memory": "192Mi"},
        "2Gi",
        replicas=options.gateways,
        strategy={"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        drain_s=_DRAIN_S,
    )


def _selector(name: str) -> dict[str, str]:
    return {**PART_OF, NAME_LABEL: name}


def _service(name: str, of: str, ports: dict[str, tuple[int, int]], **spec: str) -> Wire:
    listed = [
        {"name": port, "port": outer, "targetPort": inner, "protocol": "TCP"}
        for port, (outer, inner) in ports.items()
    ]
    return make(
        CORE_SERVICE, name, SYSTEM_NAMESPACE,
        spec={**spec, "selector": _selector(of), "ports": listed},
    )  # fmt: skip


def _deployment(part: _Part, options: Options) -> Wire:
    labels = _selector(part.name)
    spec = {
        "replicas": part.replicas,
        "selector": {"matchLabels": labels},
        "strategy": part.strategy,
        "template": {"metadata": {"labels": labels}, "spec": _pod(part, options)},
    }
    return make(DEPLOYMENT, part.name, SYSTEM_NAMESPACE, labels={NAME_LABEL: part.name}, spec=spec)


def _pod(part: _Part, options: Options) -> Wire:
    spread = {
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": _selector(part.name)},
    }  # fmt: skip
    return {
        "serviceAccountName": part.name,
        "enableServiceLinks": False,  # their variables begin with HEARTH_, as settings do
        "priorityClassName": "system-cluster-critical",
        "terminationGracePeriodSeconds": 30 + part.drain_s,
        "topologySpreadConstraints": [spread],
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": _USER, "runAsGroup": _USER, "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(part, options)],
        "volumes": [{"name": name, "emptyDir": {}} for name in ("state", "tmp")],
    }  # fmt: skip


def _container(part: _Part, options: Options) -> Wire:
    own = {
        "HEARTH_SUBSTRATE": "kubernetes",
        "HEARTH_LOG_LEVEL": options.log_level,
        "HEARTH_METRICS_HOST": _ANYWHERE,
        "HEARTH_METRICS_PORT": str(METRICS_PORT),
        **part.settings,
    }
    uid = {"fieldRef": {"fieldPath": "metadata.uid"}}
    made: Wire = {
        "name": part.command,
        "image": part.image,
        "imagePullPolicy": options.pull_policy,
        "args": [part.command],
        "env": [
            *({"name": name, "value": value} for name, value in own.items()),
            {"name": "HEARTH_POD_UID", "valueFrom": uid},
        ],
        "ports": [
            {"name": name, "containerPort": port, "protocol": "TCP"}
            for name, port in {**part.ports, "metrics": METRICS_PORT}.items()
        ],
        "readinessProbe": {**part.probe, "periodSeconds": 2},
        "livenessProbe": {**part.probe, "periodSeconds": 10, "failureThreshold": 6},
        "startupProbe": {**part.probe, "periodSeconds": 1, "failureThreshold": 120},
        "resources": {"requests": part.requests, "limits": {"memory": part.memory_limit}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "state", "mountPath": _STATE},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }
    if part.drain_s:
        made["lifecycle"] = {"preStop": {"sleep": {"seconds": part.drain_s}}}
    return made
