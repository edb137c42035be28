"""Sets of field paths as ``metadata.managedFields[].fieldsV1`` writes them: a trie of steps.

A path is a tuple of steps: ``f:name`` for a field of a map, ``k:{"name":"x"}`` for an element of a
list with a merge key, ``v:"x"`` for an element of a set. A node without children is a path of the
set; one with children is too when it has the child ``.``. No function changes the trie it is given.

Source: sigs.k8s.io/structured-merge-diff, fieldpath/serialize.go.
"""

from __future__ import annotations

from typing import TypeAlias

from hearth.api.meta import Wire

Path: TypeAlias = tuple[str, ...]


def to_fields_v1(paths: frozenset[Path]) -> Wire:
    """Encode as the trie of ``fieldsV1``."""
    trie: Wire = {}
    for path in sorted(paths):
        node = trie
        for step in path:
            node = node.setdefault(step, {})
    for path in paths:
        node = trie
        for step in path:
            node = node[step]
        if node:  # owned itself, and fields below it
            node.setdefault(".", {})
    return trie


def from_fields_v1(trie: Wire, prefix: Path = ()) -> frozenset[Path]:
    """Decode the trie of ``fieldsV1``."""
    found: set[Path] = set()
    for step, below in trie.items():
        if step == ".":
            found.add(prefix)
        elif below:
            found |= from_fields_v1(below, (*prefix, step))
        else:
            found.add((*prefix, step))
    return frozenset(found)


def with_paths(trie: Wire, paths: frozenset[Path]) -> Wire:
    """The trie with the paths as well."""
    fresh = frozenset(path for path in paths if not _holds(trie, path))
    return to_fields_v1(from_fields_v1(trie) | fresh) if fresh else trie


def _holds(trie: Wire, path: Path) -> bool:
    node: Wire | None = trie
    for step in path:
        node = node.get(step) if node else None
        if node is None:
            return False
    return not node or "." in node


def without_paths(trie: Wire, paths: frozenset[Path]) -> Wire:
    """The trie without the paths."""
    for path in paths:
        trie = _without(trie, path)
    return trie


def _without(trie: Wire, path: Path) -> Wire:
    step, rest = path[0], path[1:]
    below = trie.get(step)
    if below is None or (rest and not below):
        return trie  # neither it nor anything below it is there
    if rest:
        left = _without(below, rest)
        if left is below:
            return trie
    elif below and "." not in below:
        return trie  # only paths below it are there
    else:
        left = {name: node for name, node in below.items() if name != "."}
    kept = {name: node for name, node in trie.items() if name != step}
    if left:
        kept[step] = {} if left.keys() == {"."} else left
    return kept
