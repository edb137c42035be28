"""Ingresses of Routes: the rules by which the gateway answers for them."""

from __future__ import annotations

from urllib.parse import urlsplit

from hearth.api.kinds import INGRESS
from hearth.api.meta import (
    Wire,
    annotations_of,
    condition_of,
    generation_of,
    labels_of,
    name_of,
    namespace_of,
    status_of,
)
from hearth.api.names import (
    CLUSTER_DOMAIN,
    GATEWAY_SERVICE,
    HTTP_PROTOCOL_ANNOTATION,
    ROUTE_LABEL,
    SYSTEM_NAMESPACE,
    TAG_HOSTS_ANNOTATION,
)
from hearth.api.networking import route_certificate
from hearth.api.shown.parts import head

_HEADERS = "Knative-Serving-Namespace", "Knative-Serving-Revision"


def ingress(route: Wire) -> Wire | None:
    """The Ingress of a Route; None before its traffic is assigned."""
    status = status_of(route)
    if not status.get("url") or not status.get("traffic"):
        return None
    labels = {**labels_of(route), ROUTE_LABEL: name_of(route)}
    labels[f"{ROUTE_LABEL}Namespace"] = namespace_of(route)
    redirected = annotations_of(status).get(HTTP_PROTOCOL_ANNOTATION) == "redirected"
    gateway = f"{GATEWAY_SERVICE}.{SYSTEM_NAMESPACE}.{CLUSTER_DOMAIN}"
    balancer = {"ingress": [{"domainInternal": gateway}]}
    return {
        **head(route, INGRESS, labels),
        "spec": {
            "httpOption": "Redirected" if redirected else "Enabled",
            "rules": _rules(route),
            **({"tls": tls} if (tls := _tls(route)) else {}),
        },
        "status": {
            "observedGeneration": generation_of(route) or 1,
            "publicLoadBalancer": balancer,
            "privateLoadBalancer": balancer,
            "conditions": _conditions(route),
        },
    }


def _hosts(route: Wire) -> dict[str, tuple[str, str]]:
    """Scheme and host of each tag; the Route itself is the tag ``""``."""
    status = status_of(route)
    urls = {"": status["url"]}
    urls |= {one["tag"]: one["url"] for one in status["traffic"] if one.get("tag")}
    parts = {tag: urlsplit(url) for tag, url in urls.items()}
    return {tag: (url.scheme, url.hostname or "") for tag, url in parts.items()}


def _rules(route: Wire) -> list[Wire]:
    """One rule for each tag and visibility, the Route itself first."""
    own, namespace = name_of(route), namespace_of(route)
    inside = {"": own} | {
        tag: name
        for tag, _, name in (
            pair.partition("=")
            for pair in annotations_of(status_of(route)).get(TAG_HOSTS_ANNOTATION, "").split(",")
        )
        if tag
    }
    rules = []
    for tag, (_, host) in sorted(_hosts(route).items()):
        paths = [{"splits": _splits(route, tag)}]
        name = f"{inside.get(tag) or f'{tag}-{own}'}.{namespace}"
        forms = [name, f"{name}.svc", f"{name}.{CLUSTER_DOMAIN}"]
        rules.append({"hosts": forms, "visibility": "ClusterLocal", "http": {"paths": paths}})
        if not host.endswith(f".{CLUSTER_DOMAIN}"):
            rules.append({"hosts": [host], "visibility": "ExternalIP", "http": {"paths": paths}})
    return rules


def _splits(route: Wire, tag: str) -> list[Wire]:
    """Who gets which share; a tag's own target gets all of it."""
    namespace = namespace_of(route)
    targets = status_of(route)["traffic"]
    shares = [
        (one["revisionName"], 100 if tag else int(one.get("percent") or 0))
        for one in targets
        if (one.get("tag") == tag if tag else one.get("percent"))
    ]
    return [
        {
            "serviceName": revision,
            "serviceNamespace": namespace,
            "servicePort": 80,
            "percent": percent,
            "appendHeaders": dict(zip(_HEADERS, (namespace, revision), strict=True)),
        }
        for revision, percent in shares
    ]


def _tls(route: Wire) -> list[Wire]:
    return [
        {
            "hosts": [host],
            "secretName": route_certificate(route, tag),
            "secretNamespace": namespace_of(route),
        }
        for tag, (scheme, host) in sorted(_hosts(route).items())
        if scheme == "https"
    ]


def _conditions(route: Wire) -> list[Wire]:
    """As the Route says of its Ingress."""
    said = condition_of(route, "IngressReady") or {"status": "Unknown"}
    kinds = "LoadBalancerReady", "NetworkConfigured", "Ready"
    return [{**said, "type": kind} for kind in kinds]
