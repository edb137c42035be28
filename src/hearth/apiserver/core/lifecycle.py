"""What becomes of an object when it is created, changed or deleted: pure.

The wire objects here have no ``resourceVersion``: the store's revision is it.

Source: the registry strategies of k8s.io/apiserver (rest.BeforeCreate, BeforeUpdate, BeforeDelete).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from hearth.api.errors import BadRequest, FieldError, invalid
from hearth.api.kinds import NODE, POD
from hearth.api.managed_fields import note_update
from hearth.api.meta import Wire, metadata, name_of, spec_of
from hearth.api.registry import Resource
from hearth.api.schema import check
from hearth.api.serving.signing import signed

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")
_SEGMENT = re.compile(r"(?!\.{1,2}$)[^/%]+$")
_PATTERNS = {
    "dns-1123-label": _LABEL,
    "dns-1123-subdomain": _SUBDOMAIN,
    "dns-1035-label": _DNS_1035,
    "path-segment": _SEGMENT,
}
#: Metadata that only the server sets.
_SERVERS = ("uid", "creationTimestamp", "generation", "deletionTimestamp",
            "deletionGracePeriodSeconds")  # fmt: skip


_SERVERS_ONLY = frozenset((*_SERVERS, "resourceVersion"))
_EMPTY: tuple[object, ...] = (None, "", [], {})


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, how and when."""

    user: str
    manager: str
    at: str  #: RFC 3339
    strictness: str = "Warn"  #: fieldValidation: Ignore, Warn or Strict
    applies: bool = False  #: server-side apply keeps ownership itself


def parse_checked(resource: Resource, wire: Any, strictness: str) -> list[str]:
    """Compare a body with its kind; returns warnings.

    Raises:
        BadRequest: not an object of that kind, or an unknown field and ``Strict``.
        Invalid: a field of the wrong type.
    """
    if not isinstance(wire, dict):
        raise BadRequest(f"the body is not an object, expected a {resource.kind.kind}")
    check_kind(resource, wire)
    return check_fields(resource, wire, strictness, name_of(wire))


def check_kind(resource: Resource, wire: Wire) -> None:
    """Raises ``BadRequest`` for an object of another kind; one that does not say it is told."""
    for field, want in (("apiVersion", resource.kind.api_version), ("kind", resource.kind.kind)):
        have = wire.setdefault(field, want)
        if have != want:
            raise BadRequest(f"the object has {field} {have!r}, the path expects {want!r}")


def check_fields(resource: Resource, wire: Wire, strictness: str, name: str) -> list[str]:
    """Compare the fields of an object, or of a merge patch to one, with its kind's.

    Raises:
        BadRequest: an unknown field and ``Strict``.
        Invalid: a field of the wrong type.
    """
    errors, unknown = check(wire, resource.view)
    if unknown and strictness == "Strict":
        said = ", ".join(f'unknown field "{path}"' for path in unknown)
        raise BadRequest(
            f'{resource.kind.kind} in version "{resource.kind.version}" cannot be handled as a '
            f"{resource.kind.kind}: strict decoding error: {said}"
        )
    if errors:
        raise invalid(resource.kind.kind, resource.kind.group, name, errors)
    warned = [f'unknown field "{path}"' for path in unknown] if strictness == "Warn" else []
    return [*warned, *resource.notices(wire)]


def prepare_create(resource: Resource, wire: Wire, uid: str, by: Writer) -> Wire:
    """The object as it is to be stored.

    Raises:
        BadRequest: it has a resourceVersion.
        Invalid: names the fields at fault.
    """
    if metadata(wire).get("resourceVersion"):
        raise BadRequest("resourceVersion should not be set on objects to be created")
    meta = _clients_part(wire)
    meta |= {"uid": uid, "creationTimestamp": by.at, "generation": 1}
    new = {**wire, "metadata": signed(resource.kind, meta, by.user, created=True)}
    if "status" in resource.subresources and resource.kind != NODE:  # as its agent says it
        new.pop("status", None)
    new = resource.default(new, None)
    _validate(resource, new, None)
    return new if by.applies else note_update(None, new, by.manager, by.at)


def prepare_update(
    resource: Resource, old: Wire, wire: Wire, by: Writer, subresource: str = ""
) -> Wire:
    """The object as it is to be stored after a change; equal to ``old`` when nothing changes.

    Raises:
        Invalid: names the fields at fault.
    """
    new = _merged_parts(resource, old, wire, subresource)
    kept = {k: metadata(old)[k] for k in _SERVERS if k in metadata(old)}
    new = {**new, "metadata": {**_clients_part(new), **kept}}
    if not subresource:
        new = resource.default(new, old)
        _validate(resource, new, old)
        if spec_of(new) != spec_of(old):
            generation = int(metadata(old).get("generation") or 1) + 1
            new["metadata"] = {**new["metadata"], "generation": generation}
            new["metadata"] = signed(resource.kind, new["metadata"], by.user, created=False)
    if _plain(new) == _plain(old) and not by.applies:
        return old
    if by.applies:
        return new
    return note_update(old, new, by.manager, by.at, subresource=subresource)


def _clients_part(wire: Wire) -> Wire:
    """The metadata that clients set; empty lists and maps are as good as none."""
    return {k: v for k, v in metadata(wire).items() if k not in _SERVERS_ONLY and v not in _EMPTY}


def _merged_parts(resource: Resource, old: Wire, wire: Wire, subresource: str) -> Wire:
    """Main writes leave the status alone, and writes of the status all else."""
    if subresource == "status":
        changed = {**old, "status": wire.get("status") or {}}
        if resource.kind == POD:  # as Kubernetes does: pods' status writes may annotate
            annotations = metadata(wire).get("annotations")
            if annotations is not None:
                changed["metadata"] = {**metadata(old), "annotations": annotations}
        own = metadata(wire).get("managedFields")
        if own is not None:
            changed["metadata"] = {**metadata(changed), "managedFields": own}
        return changed
    if subresource or "status" not in resource.subresources:
        return wire
    changed = {k: v for k, v in wire.items() if k != "status"}
    return {**changed, "status": old["status"]} if "status" in old else changed


def _plain(wire: Wire) -> Wire:
    meta = {k: v for k, v in metadata(wire).items() if k != "managedFields"}
    return {**wire, "metadata": meta}


def _validate(resource: Resource, new: Wire, old: Wire | None) -> None:
    faults = [*_metadata_faults(resource, new), *resource.validate(new, old)]
    if faults:
        raise invalid(resource.kind.kind, resource.kind.group, name_of(new), faults)


def _metadata_faults(resource: Resource, wire: Wire) -> list[FieldError]:
    name, faults = name_of(wire), []
    pattern = _PATTERNS.get(resource.name_pattern)
    if not name:
        said = "Required value: name or generateName is required"
        faults.append(FieldError("metadata.name", said, "FieldValueRequired"))
    elif pattern and not pattern.match(name):
        said = f'Invalid value: "{name}": is not a {resource.name_pattern.upper()}'
        faults.append(FieldError("metadata.name", said))
    for field in ("labels", "annotations"):
        if not isinstance(metadata(wire).get(field) or {}, dict):
            faults.append(FieldError(f"metadata.{field}", "Invalid value: must be an object"))
    return faults
