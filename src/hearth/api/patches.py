"""The ways to change an object: JSON patch, merge patch, strategic merge patch.

Server-side apply is in ``managed_fields``. All take the current object and return a new one.

Source: RFC 6902, RFC 7396, and for strategic merge
kubernetes/community contributors/devel/sig-api-machinery/strategic-merge-patch.md.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import jsonpatch
import jsonpointer

from hearth.api.errors import BadRequest, Invalid
from hearth.api.meta import Wire

#: Merge keys of lists in core types, by the list's field name (k8s.io/api struct tags).
MERGE_KEYS: Mapping[str, str] = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "conditions": "type",
    "ownerReferences": "uid",
    "secrets": "name",
    "topologySpreadConstraints": "topologyKey",
    "addresses": "type",
    "taints": "key",
}
#: Lists of plain values that are merged as sets.
MERGED_SETS = frozenset({"finalizers"})


def json_patch(wire: Wire, operations: Any) -> Wire:
    """Apply RFC 6902 operations.

    Raises:
        BadRequest: not a list of operations.
        Invalid: an operation does not apply, e.g. a path that is not there.
    """
    if not isinstance(operations, list):
        raise BadRequest("a JSON patch must be a list of operations")
    try:
        changed: Wire = jsonpatch.apply_patch(wire, operations)
    except (jsonpatch.InvalidJsonPatch, TypeError, KeyError) as error:
        raise BadRequest(f"invalid JSON patch: {error}") from error
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as error:
        raise Invalid(f"the JSON patch does not apply: {error}") from error
    return changed


def merge_patch(current: Any, patch: Any) -> Any:
    """Apply an RFC 7396 merge patch: null removes, objects merge, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(current) if isinstance(current, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def strategic_merge(current: Any, patch: Any) -> Any:
    """Apply a strategic merge patch: as a merge patch, but lists with a merge key are merged."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    if patch.get("$patch") == "replace":
        return {name: value for name, value in patch.items() if name != "$patch"}
    merged = dict(current) if isinstance(current, dict) else {}
    if "$retainKeys" in patch:
        merged = {name: value for name, value in merged.items() if name in patch["$retainKeys"]}
    for name, value in patch.items():
        if name.startswith("$deleteFromPrimitiveList/"):
            field = name.split("/", 1)[1]
            merged[field] = [one for one in merged.get(field) or () if one not in value]
        elif not name.startswith("$"):
            _merge_field(merged, name, value, patch)
    return merged


def _merge_field(merged: Wire, name: str, value: Any, patch: Wire) -> None:
    current = merged.get(name)
    if value is None or (isinstance(value, dict) and value.get("$patch") == "delete"):
        merged.pop(name, None)
    elif isinstance(value, list) and name in MERGED_SETS:
        had = current or []
        merged[name] = [*had, *(one for one in value if one not in had)]
    elif isinstance(value, list) and name in MERGE_KEYS and all(isinstance(v, dict) for v in value):
        order = patch.get(f"$setElementOrder/{name}")
        merged[name] = _merge_list(current or [], value, MERGE_KEYS[name], order)
    else:
        merged[name] = strategic_merge(current, value)


def _merge_list(current: list[Wire], patch: list[Wire], key: str, order: Any) -> list[Wire]:
    if any(one.get("$patch") == "replace" for one in patch):
        return [one for one in patch if "$patch" not in one]
    merged = {one.get(key): one for one in current}
    for one in patch:
        identity = one.get(key)
        if one.get("$patch") == "delete":
            merged.pop(identity, None)
        else:
            merged[identity] = strategic_merge(merged.get(identity), one)
    if not order:
        return list(merged.values())
    wanted = [one[key] for one in order if one.get(key) in merged]
    return [merged[i] for i in (*wanted, *(i for i in merged if i not in wanted))]
