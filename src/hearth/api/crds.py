"""Our kinds as a cluster is told of them: CustomResourceDefinitions.

Made from the same registry that our own API server serves. What a schema can say of our own kinds
(defaults, bounds, what never changes) is said here, so that writes of them need no webhook; the
rules of Knative's kinds are Knative's code, and are served as webhooks.

Source: k8s.io/apiextensions-apiserver pkg/apis/apiextensions/v1.
"""

from __future__ import annotations

from typing import Any

from hearth.api.kinds import (
    CUSTOM_RESOURCE_DEFINITION,
    HEARTH,
    NETWORKING,
    POD_POOL,
    POOLED_REPLICA_SET,
    SERVING,
)
from hearth.api.meta import Wire
from hearth.api.registry import At, Column, OfCondition, Resource
from hearth.api.resources import RESOURCES
from hearth.api.schema import structural_schema
from hearth.api.tables import is_ageless

_AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}

#: The kinds that a cluster must be taught: those that are stored and not Kubernetes' own.
CUSTOM: tuple[Resource, ...] = tuple(
    resource
    for resource in RESOURCES
    if resource.kind.group in (SERVING, NETWORKING, HEARTH) and not resource.shown
)


def make_crd(resource: Resource) -> Wire:
    """The definition of one kind."""
    kind = resource.kind
    return {
        "apiVersion": CUSTOM_RESOURCE_DEFINITION.api_version,
        "kind": CUSTOM_RESOURCE_DEFINITION.kind,
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {
            "group": kind.group,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": resource.singular,
                "shortNames": list(resource.short_names),
                "categories": list(resource.categories),
            },
            "versions": [_version(resource)],
        },
    }


def _version(resource: Resource) -> Wire:
    columns = [_column(column) for column in resource.columns]
    if not is_ageless(resource):
        columns.append(_AGE)
    return {
        "name": resource.kind.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _schema(resource)},
        "subresources": _subresources(resource),
        "additionalPrinterColumns": columns,
    }


def _schema(resource: Resource) -> Wire:
    schema = structural_schema(resource.view)
    schema["properties"]["metadata"] = {"type": "object"}
    if resource.kind in (POD_POOL, POOLED_REPLICA_SET):
        _bound(schema["properties"]["spec"], is_set=resource.kind == POOLED_REPLICA_SET)
    return schema


def _bound(spec: dict[str, Any], *, is_set: bool) -> None:
    """What :mod:`hearth.api.hearth_v1alpha1` checks, in a schema's words."""
    fields = spec["properties"]
    fields["replicas"] |= {"default": 0, "minimum": 0}
    containers = fields["template"]["properties"]["spec"]["properties"]["containers"]
    containers["minItems"] = 1
    fields["template"]["properties"]["spec"]["required"] = ["containers"]
    fields["template"]["required"] = ["spec"]
    spec["required"] = ["template"]
    if is_set:
        spec["required"].append("selector")
        rule = {"rule": "self == oldSelf", "message": "field is immutable"}
        fields["selector"]["x-kubernetes-validations"] = [rule]


def _subresources(resource: Resource) -> Wire:
    made: Wire = {"status": {}} if "status" in resource.subresources else {}
    if "scale" in resource.subresources:
        paths = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
        if resource.kind == POOLED_REPLICA_SET:
            paths["labelSelectorPath"] = ".status.selector"
        made["scale"] = paths
    return made


def _column(column: Column) -> Wire:
    assert isinstance(column.value, At | OfCondition), f"column {column.name} has no path"
    made: Wire = {"name": column.name, "type": column.type, "jsonPath": column.value.json_path}
    if column.priority:
        made["priority"] = column.priority
    return made
