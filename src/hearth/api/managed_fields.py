"""Server-side apply: who owns which field, and what an apply changes.

Ownership is a set of paths. A path is a tuple of steps: ``f:name`` for a field of a map,
``k:{"name":"x"}`` for an element of a list with a merge key, ``v:"x"`` for an element of a set.
Lists without a known merge key are owned whole, as atomic values. ``fields_v1`` has the wire form.

Source: kubernetes.io/docs/reference/using-api/server-side-apply, and
sigs.k8s.io/structured-merge-diff for the encoding.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from hearth.api.errors import Conflict
from hearth.api.fields_v1 import Path, from_fields_v1, to_fields_v1, with_paths, without_paths
from hearth.api.meta import Wire
from hearth.api.patches import MERGE_KEYS, MERGED_SETS

#: Never owned: set by the server, or who the object is. Paths of one or two steps.
_SERVERS_OWN = frozenset((
    ("f:apiVersion",), ("f:kind",), ("f:metadata", "f:name"), ("f:metadata", "f:namespace"),
    ("f:metadata", "f:managedFields"), ("f:metadata", "f:resourceVersion"),
    ("f:metadata", "f:uid"), ("f:metadata", "f:generation"), ("f:metadata", "f:generateName"),
    ("f:metadata", "f:creationTimestamp"), ("f:metadata", "f:selfLink"),
    ("f:metadata", "f:deletionTimestamp"), ("f:metadata", "f:deletionGracePeriodSeconds"),
))  # fmt: skip


def owned_paths(wire: Wire) -> frozenset[Path]:
    """The paths of all leaf values that the object holds."""
    found: set[Path] = set()
    _collect(wire, (), "", found)
    return _ownable(found)


def _ownable(paths: set[Path]) -> frozenset[Path]:
    return frozenset(
        p for p in paths if p[:1] not in _SERVERS_OWN and p[:2] not in _SERVERS_OWN
    )  # fmt: skip


def _collect(value: Any, path: Path, name: str, found: set[Path]) -> None:
    if isinstance(value, dict) and value:
        for field, inner in value.items():
            _collect(inner, (*path, f"f:{field}"), field, found)
    elif isinstance(value, list) and name in MERGED_SETS:
        found.update((*path, f"v:{json.dumps(one)}") for one in value)
    elif isinstance(value, list) and _is_keyed(name, value):
        for one in value:
            step = _element_step(name, one)
            found.add((*path, step))
            for field, inner in one.items():
                _collect(inner, (*path, step, f"f:{field}"), field, found)
    elif path:
        found.add(path)


def _is_keyed(name: str, value: list[Any]) -> bool:
    key = MERGE_KEYS.get(name)
    return bool(value) and key is not None and all(isinstance(v, dict) and key in v for v in value)


def _element_step(name: str, element: Wire) -> str:
    key = MERGE_KEYS[name]
    return _key_step(key, element[key])


@lru_cache(maxsize=4096)
def _key_step(key: str, value: str | int) -> str:
    return "k:" + json.dumps({key: value}, separators=(",", ":"))


def apply(
    current: Wire | None, applied: Wire, manager: str, at: str, *, force: bool,
    subresource: str = "",
) -> Wire:  # fmt: skip
    """Merge what ``manager`` applies into the object, and note what it owns.

    Fields that it owned before and now leaves out are removed, unless someone else owns them too.

    Args:
        current: the object, or None to create it.
        applied: what the manager wants; lossless, without managedFields.
        manager: the field manager's name.
        at: RFC 3339 time for the managedFields entry.
        force: take over fields that others own with another value.
        subresource: that is applied, or empty: a manager owns fields of each on its own.

    Raises:
        Conflict: others own such fields and ``force`` is not given; names them.
    """
    wanted = owned_paths(applied)
    entries = _entries(current)
    if current is not None:
        strangers = [e for e in entries if not _is(e, manager, "Apply", subresource)]
        rivals = _rivals(current, applied, wanted, strangers)
        if rivals and not force:
            raise _conflict(rivals)
        entries = _give_up(entries, rivals)
    had = _owned_by(entries, manager, "Apply", subresource)
    others = frozenset(
        path for entry in entries if not _is(entry, manager, "Apply", subresource)
        for path in from_fields_v1(entry.get("fieldsV1") or {})
    )  # fmt: skip
    merged = _merge(current or {}, applied, "")
    # A map that was owned empty is still there when something in it is owned now.
    kept = {path[:length] for path in wanted | others for length in range(1, len(path) + 1)}
    for path in sorted(had - kept, key=len, reverse=True):
        _remove(merged, path)
    noted = _replace(entries, manager, "Apply", subresource, to_fields_v1(wanted), at)
    return _with_entries(merged, noted)


def note_update(
    old: Wire | None, new: Wire, manager: str, at: str, *, subresource: str = ""
) -> Wire:
    """Note that ``manager`` set the fields in which ``new`` differs from ``old``."""
    changed, removed = differences(old or {}, new)
    entries = _entries(old) if old is not None else _entries(new)
    if not changed and not removed:
        return _with_entries(new, entries)
    kept, own = [], {}
    for entry in entries:
        mine = _is(entry, manager, "Update", subresource)
        left = without_paths(entry.get("fieldsV1") or {}, removed if mine else removed | changed)
        if mine:
            own = left
        elif left:
            kept.append({**entry, "fieldsV1": left})
    return _with_entries(
        new, _replace(kept, manager, "Update", subresource, with_paths(own, changed), at)
    )


def differences(old: Wire, new: Wire) -> tuple[frozenset[Path], frozenset[Path]]:
    """The paths whose value ``new`` sets or changes, and those that it no longer has.

    Only what differs is walked into, because most of a large object does not.
    """
    changed: set[Path] = set()
    removed: set[Path] = set()
    _compare(old, new, (), "", changed, removed)
    return _ownable(changed), _ownable(removed - changed)


def _compare(
    old: Any, new: Any, path: Path, name: str, changed: set[Path], removed: set[Path]
) -> None:
    had, has = _parts(old, name), _parts(new, name)
    if had is None or has is None:
        _collect(old, path, name, removed)
        _collect(new, path, name, changed)
        return
    for step, (field, value) in has.items():
        if step not in had:
            _collect_part(value, (*path, step), field, changed)
        elif had[step][1] != value:
            _compare(had[step][1], value, (*path, step), field, changed, removed)
    for step, (field, value) in had.items():
        if step not in has:
            _collect_part(value, (*path, step), field, removed)


def _parts(value: Any, name: str) -> dict[str, tuple[str, Any]] | None:
    """What is owned one by one: by step, the name of the list it may be and the value."""
    if isinstance(value, dict) and value:
        return {f"f:{field}": (field, inner) for field, inner in value.items()}
    if isinstance(value, list) and name in MERGED_SETS:
        return {f"v:{json.dumps(one)}": ("", None) for one in value}
    if isinstance(value, list) and _is_keyed(name, value):
        return {_element_step(name, one): (_ELEMENT, one) for one in value}
    return None


#: In place of a field's name: an element of a list, whose presence is a path of its own.
_ELEMENT = "[]"


def _collect_part(value: Any, path: Path, field: str, found: set[Path]) -> None:
    if field == _ELEMENT:
        found.add(path)
    if field != _ELEMENT or value:
        _collect(value, path, field, found)


_ABSENT = object()


def _at(wire: Any, path: Path) -> Any:
    for number, step in enumerate(path):
        wire = _step_into(wire, step)
        if wire is _ABSENT:
            return _ABSENT
        if number == len(path) - 1 and step.startswith("k:"):
            return step  # an element's presence; its fields have paths of their own
    return wire


def _step_into(wire: Any, step: str) -> Any:
    if step.startswith("f:"):
        return wire.get(step[2:], _ABSENT) if isinstance(wire, dict) else _ABSENT
    if not isinstance(wire, list):
        return _ABSENT
    wanted = json.loads(step[2:])
    if step.startswith("v:"):
        return wanted if wanted in wire else _ABSENT
    for one in wire:
        if isinstance(one, dict) and all(one.get(k) == v for k, v in wanted.items()):
            return one
    return _ABSENT


def _merge(current: Any, applied: Any, name: str) -> Any:
    if isinstance(applied, dict) and isinstance(current, dict):
        merged = dict(current)
        for field, value in applied.items():
            merged[field] = _merge(current.get(field), value, field)
        return merged
    if isinstance(applied, list) and isinstance(current, list) and name in MERGED_SETS:
        return [*current, *(one for one in applied if one not in current)]
    if isinstance(applied, list) and isinstance(current, list) and _is_keyed(name, applied):
        key = MERGE_KEYS[name]
        found = {one.get(key): one for one in current}
        for one in applied:
            found[one[key]] = _merge(found.get(one[key]) or {}, one, "")
        return list(found.values())
    return applied


def _remove(wire: Wire, path: Path) -> None:
    parent: Any = wire
    for step in path[:-1]:
        parent = _step_into(parent, step)
        if parent is _ABSENT:
            return
    last = path[-1]
    if last.startswith("f:") and isinstance(parent, dict):
        parent.pop(last[2:], None)
    elif isinstance(parent, list):
        found = _step_into(parent, last)
        if found is not _ABSENT and found in parent:
            parent.remove(found)


def _rivals(
    current: Wire, applied: Wire, wanted: frozenset[Path], strangers: list[Wire]
) -> dict[str, frozenset[Path]]:
    """Other managers, and the wanted paths they own with another value."""
    differ = frozenset(p for p in wanted if _at(current, p) != _at(applied, p))
    found: dict[str, frozenset[Path]] = {}
    for entry in strangers:
        own = from_fields_v1(entry.get("fieldsV1") or {}) & differ
        if own:
            found[entry["manager"]] = found.get(entry["manager"], frozenset()) | own
    return found


def _conflict(rivals: dict[str, frozenset[Path]]) -> Conflict:
    causes = [
        {"reason": "FieldManagerConflict", "message": f'conflict with "{manager}"', "field": field}
        for manager, paths in rivals.items()
        for field in sorted(_dotted(path) for path in paths)
    ]
    said = "; ".join(f"{c['message']}: {c['field']}" for c in causes)
    many = f"{len(causes)} conflict{'s' if len(causes) > 1 else ''}"
    return Conflict(f"Apply failed with {many}: {said}", details={"causes": causes})


def _dotted(path: Path) -> str:
    said = ""
    for step in path:
        said += f".{step[2:]}" if step.startswith("f:") else f"[{step[2:].strip('{}')}]"
    return said


def _give_up(entries: list[Wire], rivals: dict[str, frozenset[Path]]) -> list[Wire]:
    kept = []
    for entry in entries:
        lost = rivals.get(entry["manager"], frozenset())
        own = from_fields_v1(entry.get("fieldsV1") or {}) - lost
        if own:
            kept.append({**entry, "fieldsV1": to_fields_v1(own)})
    return kept


def _entries(wire: Wire | None) -> list[Wire]:
    return list((wire or {}).get("metadata", {}).get("managedFields") or ())


def _is(entry: Wire, manager: str, operation: str, subresource: str) -> bool:
    return (entry.get("manager"), entry.get("operation"), entry.get("subresource") or "") == (
        manager,
        operation,
        subresource,
    )


def _owned_by(
    entries: list[Wire], manager: str, operation: str, subresource: str = ""
) -> frozenset[Path]:
    for entry in entries:
        if _is(entry, manager, operation, subresource):
            return from_fields_v1(entry.get("fieldsV1") or {})
    return frozenset()


def _replace(
    entries: list[Wire],
    manager: str,
    operation: str,
    subresource: str,
    own: Wire,
    at: str,
) -> list[Wire]:
    kept = [entry for entry in entries if not _is(entry, manager, operation, subresource)]
    if not own:
        return kept
    entry: Wire = {"manager": manager, "operation": operation, "time": at}
    entry |= {"fieldsType": "FieldsV1", "fieldsV1": own}
    if subresource:
        entry["subresource"] = subresource
    return [*kept, entry]


def _with_entries(wire: Wire, entries: list[Wire]) -> Wire:
    version = wire.get("apiVersion", "")
    noted = [{"apiVersion": version, **entry} for entry in entries]
    meta = {**(wire.get("metadata") or {})}
    meta.pop("managedFields", None)
    if noted:
        meta["managedFields"] = noted
    return {**wire, "metadata": meta}
