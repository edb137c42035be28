"""Which writes the API server asks our controllers about.

A write that nobody could check is refused (``failurePolicy: Fail``), as Knative's is. Reads, scale
and status writes, and all that concerns other kinds never wait for us. Our own kinds are checked by
their schemas, so that a claim's writes meet no webhook.
"""

from __future__ import annotations

from hearth.api.kinds import MUTATING_WEBHOOKS, NETWORKING, SERVING, VALIDATING_WEBHOOKS
from hearth.api.meta import Wire
from hearth.api.names import (
    KNATIVE_NAMESPACE,
    SYSTEM_NAMESPACE,
    WEBHOOK_CONFIGURATION,
    WEBHOOK_MUTATE_PATH,
    WEBHOOK_SERVICE,
    WEBHOOK_VALIDATE_PATH,
)
from hearth.install.objects import make

_TIMEOUT_S = 10


def make_webhooks() -> list[Wire]:
    """Both configurations; the controller fills in whom to trust."""
    serving = _rule(
        SERVING, ["v1", "v1beta1"],
        ["services", "configurations", "revisions", "routes", "domainmappings"],
    )  # fmt: skip
    networking = _rule(NETWORKING, ["v1alpha1"], ["certificates", "clusterdomainclaims"])
    config = _hook("config.validation.hearth.dev", WEBHOOK_VALIDATE_PATH, _rule("", ["v1"],
                   ["configmaps"]))  # fmt: skip
    config["namespaceSelector"] = {
        "matchLabels": {"kubernetes.io/metadata.name": KNATIVE_NAMESPACE}
    }
    mutating = _hook("defaulting.hearth.dev", WEBHOOK_MUTATE_PATH, serving)
    mutating["reinvocationPolicy"] = "IfNeeded"  # what others add is given defaults, too
    validating = _hook("validation.hearth.dev", WEBHOOK_VALIDATE_PATH, serving, networking)
    return [
        make(MUTATING_WEBHOOKS, WEBHOOK_CONFIGURATION, webhooks=[mutating]),
        make(VALIDATING_WEBHOOKS, WEBHOOK_CONFIGURATION, webhooks=[validating, config]),
    ]


def _rule(group: str, versions: list[str], resources: list[str]) -> Wire:
    return {
        "apiGroups": [group], "apiVersions": versions, "operations": ["CREATE", "UPDATE"],
        "resources": resources, "scope": "*",
    }  # fmt: skip


def _hook(name: str, path: str, *rules: Wire) -> Wire:
    service = {"name": WEBHOOK_SERVICE, "namespace": SYSTEM_NAMESPACE, "path": path, "port": 443}
    return {
        "name": name,
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"service": service},
        "failurePolicy": "Fail",
        "matchPolicy": "Equivalent",
        "rules": list(rules),
        "sideEffects": "None",
        "timeoutSeconds": _TIMEOUT_S,
    }
