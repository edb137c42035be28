"""serving.knative.dev/v1beta1: DomainMapping, a host name of one's own for a Service or Route.

Source: knative.dev/serving pkg/apis/serving/v1beta1/domainmapping_*.go and
knative.dev/pkg/apis/duck/v1/knative_reference.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from hearth.api.core import Object
from hearth.api.errors import FieldError
from hearth.api.kinds import DOMAIN_MAPPING
from hearth.api.meta import Wire, metadata, name_of, namespace_of, spec_of
from hearth.api.names import CLUSTER_DOMAIN
from hearth.api.registry import Column, Resource, at, condition
from hearth.api.serving.faults import disallowed, missing
from hearth.api.serving.validation import same_creator
from hearth.api.serving.views import Addressable, Status
from hearth.api.views import View

Faults = Iterator[FieldError]

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*$")
_NAME_MAX = 253
_LABEL_MAX = 63
_CLUSTER = CLUSTER_DOMAIN.removeprefix("svc.")


class KReference(View, frozen=True):
    """An object with an address."""

    kind: str | None = None
    namespace: str | None = None
    name: str | None = None
    api_version: str | None = None
    group: str | None = None
    address: str | None = None


class SecretTLS(View, frozen=True):
    """A certificate that is there already."""

    secret_name: str | None = None


class DomainMappingSpec(View, frozen=True):
    """Where the host leads."""

    ref: KReference | None = None
    tls: SecretTLS | None = None


class DomainMappingStatus(Status, frozen=True):
    """Where it can be reached."""

    url: str | None = None
    address: Addressable | None = None


class DomainMapping(Object, frozen=True):
    """A host name, the object's name, that leads to an app."""

    spec: DomainMappingSpec | None = None
    status: DomainMappingStatus | None = None


def default_domain_mapping(wire: Wire, old: Wire | None = None) -> Wire:
    """The reference is to the mapping's own namespace."""
    spec = spec_of(wire)
    ref = spec.get("ref")
    if not isinstance(ref, dict) or ref.get("namespace") or not namespace_of(wire):
        return wire
    return {**wire, "spec": {**spec, "ref": {**ref, "namespace": namespace_of(wire)}}}


def validate_domain_mapping(wire: Wire, old: Wire | None) -> list[FieldError]:
    """A DomainMapping, in Knative's words."""
    return [
        *_name(wire),
        *same_creator(wire, old),
        *_reference(spec_of(wire).get("ref"), namespace_of(wire), "spec.ref"),
        *_tls(spec_of(wire)),
    ]


def host_faults(name: str) -> list[str]:
    """Why a name is no fully qualified domain name; empty if it is one.

    Source: k8s.io/apimachinery/pkg/util/validation IsFullyQualifiedDomainName.
    """
    found = []
    if len(name) > _NAME_MAX:
        found.append(f"must be no more than {_NAME_MAX} characters")
    if not _SUBDOMAIN.match(name):
        found.append(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
            "'-' or '.', and must start and end with an alphanumeric character (e.g. "
            f"'example.com', regex used for validation is '{_LABEL}(\\.{_LABEL})*')"
        )
    if found:
        return found
    labels = name.split(".")
    if len(labels) < 2:
        return ["should be a domain with at least two segments separated by dots"]
    if any(len(label) > _LABEL_MAX for label in labels):
        return [f"must be no more than {_LABEL_MAX} characters"]
    return []


def _name(wire: Wire) -> Faults:
    if metadata(wire).get("generateName"):
        yield disallowed("metadata.generateName")
    name = name_of(wire)
    if faults := host_faults(name):
        said = ", ".join(f'name: Invalid value: "{name}": {why}' for why in faults)
        said = said if len(faults) == 1 else f"[{said}]"
        yield FieldError("metadata.name", f'invalid name "{name}": {said}: metadata.name')
    if name.endswith(f".{_CLUSTER}"):
        said = f'must not be a subdomain of cluster local domain "{_CLUSTER}"'
        yield FieldError("metadata.name", f'invalid name "{name}": {said}: metadata.name')


def _reference(ref: Any, namespace: str, path: str) -> Faults:
    ref = ref if isinstance(ref, dict) else {}
    if ref.get("group"):
        yield disallowed(f"{path}.group")
    for name in ("apiVersion", "kind", "name"):
        if not ref.get(name):
            yield missing(f"{path}.{name}")
    own = ref.get("namespace")
    if own and namespace and own != namespace:
        why = f'parent namespace: "{namespace}" does not match ref: "{own}"'
        yield FieldError(f"{path}.namespace", f"mismatched namespaces: {path}.namespace\n{why}")


def _tls(spec: Wire) -> Faults:
    tls = spec.get("tls")
    if isinstance(tls, dict) and not tls.get("secretName"):
        yield missing("spec.tls.secretName")


RESOURCES = (
    Resource(
        DOMAIN_MAPPING, DomainMapping, "domainmapping", ("dm",), ("all", "knative", "serving"),
        frozenset({"status"}),
        (
            Column("URL", at("status", "url")),
            Column("Ready", condition("Ready", "status")),
            Column("Reason", condition("Ready", "reason")),
        ),
        default_domain_mapping, validate_domain_mapping, name_pattern="any",
    ),
)  # fmt: skip
