"""Which Route has a host name when several want it: whoever came first, until it lets go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from hearth.api.meta import ObjectKey


class Owners:
    """The owner of each name, and who else wants it."""

    def __init__(self) -> None:
        self._owner: dict[str, ObjectKey] = {}
        self._names: dict[ObjectKey, tuple[str, ...]] = {}
        self._wanting: defaultdict[str, set[ObjectKey]] = defaultdict(set)
        self._released: set[ObjectKey] = set()

    def owner_of(self, name: str) -> ObjectKey | None:
        """Who has the name."""
        return self._owner.get(name)

    def names_of(self, key: ObjectKey) -> set[str]:
        """What it has."""
        return set(self._names.get(key, ()))

    def take(self, key: ObjectKey, names: Collection[str]) -> set[str]:
        """Let go of all names but these, and take those that are free; returns what it has."""
        for name in self.names_of(key) - set(names):
            del self._owner[name]
            self._released |= self._wanting.pop(name, set())
        for wanted in list(self._wanting):
            self._wanting[wanted].discard(key)
            if not self._wanting[wanted]:
                del self._wanting[wanted]
        own = tuple(name for name in names if self._owner.setdefault(name, key) == key)
        for name in set(names) - set(own):
            self._wanting[name].add(key)
        self._names.pop(key, None)
        if own:
            self._names[key] = own
        return set(own)

    def released(self) -> set[ObjectKey]:
        """Who wanted a name that is free now; told once."""
        released, self._released = self._released, set()
        return released
