"""Who owns what, and what must go: the garbage collector's machine.

Theory. Every object is seen as a node with edges to its owners, by UID. An object all of whose
owners are gone is collected. An object that is deleted in the foreground stays until the dependents
that block it are gone; one that is orphaned stays until its dependents have forgotten it. A
namespace that is going is emptied and stays until nothing is left in it. The machine is loaded
with all that is there, then fed with every change in the store's order; since a UID is known only
once its object exists, an owner is always seen before what it owns, and one not known is gone.

Effects may be asked for more than once; carrying one out again must do nothing.

Source: kubernetes.io/docs/concepts/architecture/garbage-collection, and the controllers garbage
collector and namespace of kube-controller-manager.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from hearth.apiserver.core.deletion import FOREGROUND, ORPHAN

#: A namespace: tenant and name.
Scope: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of one object."""

    key: str  #: its store key
    uid: str
    scope: Scope  #: where it is; the name is empty for a cluster-scoped object
    owners: tuple[str, ...] = ()  #: UIDs
    blocking: tuple[str, ...] = ()  #: owners that must wait for it (blockOwnerDeletion)
    finalizers: tuple[str, ...] = ()
    deleting: bool = False
    namespace: str = ""  #: if it is a namespace: its name


@dataclass(frozen=True, slots=True)
class Collect:
    """Delete the object, and what it owns before it when ``foreground``."""

    key: str
    uid: str
    foreground: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """Take the finalizer away."""

    key: str
    finalizer: str


@dataclass(frozen=True, slots=True)
class Disown:
    """Take the owner out of the object's references."""

    key: str
    owner: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The namespace is empty: let it go."""

    key: str


@dataclass(frozen=True, slots=True)
class Furnish:
    """The namespace is new: give it what every namespace has."""

    scope: Scope


Effect: TypeAlias = Collect | Release | Disown | Finish | Furnish


class Ownership:
    """All objects, and what became of their owners."""

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}
        self._keys: dict[str, str] = {}  #: by UID
        self._dependents: defaultdict[str, set[str]] = defaultdict(set)  #: keys by owner's UID
        self._content: defaultdict[Scope, set[str]] = defaultdict(set)  #: keys by namespace
        self._namespaces: dict[Scope, str] = {}  #: their own keys

    def load(self, everything: Iterable[Seen]) -> list[Effect]:
        """Take in all objects that are there at the start."""
        for seen in everything:
            self._link(seen)
        effects: list[Effect] = []
        for seen in self._seen.values():
            effects += [*_furnished(seen), *self._judge(seen)]
        return effects

    def put(self, seen: Seen) -> list[Effect]:
        """Take in an object as it is now."""
        was = self._unlink(seen.key)
        self._link(seen)
        effects: list[Effect] = []
        lost = set(was.owners) - set(seen.owners) if was else set()
        for owner in lost:
            effects += self._revisit(self._keys.get(owner))
        if was is None:
            effects += _furnished(seen)
        return effects + self._judge(seen)

    def remove(self, key: str) -> list[Effect]:
        """Take in that an object is gone."""
        was = self._unlink(key)
        if was is None:
            return []
        effects: list[Effect] = []
        if self._keys.get(was.uid) == key:
            del self._keys[was.uid]
            for dependent in sorted(self._dependents.get(was.uid, ())):
                effects += self._judge(self._seen[dependent])
        for owner in was.owners:
            effects += self._revisit(self._keys.get(owner))
        return effects + self._revisit(self._namespaces.get(was.scope))

    def check(self) -> None:
        """Assert the invariants."""
        for key, seen in self._seen.items():
            assert self._keys.get(seen.uid) is not None
            assert all(key in self._dependents[owner] for owner in seen.owners)
            assert not seen.scope[1] or key in self._content[seen.scope]
        for keys in (*self._dependents.values(), *self._content.values()):
            assert keys <= self._seen.keys()

    def _link(self, seen: Seen) -> None:
        self._seen[seen.key] = seen
        self._keys[seen.uid] = seen.key
        for owner in seen.owners:
            self._dependents[owner].add(seen.key)
        if seen.scope[1]:
            self._content[seen.scope].add(seen.key)
        if seen.namespace:
            self._namespaces[seen.scope[0], seen.namespace] = seen.key

    def _unlink(self, key: str) -> Seen | None:
        was = self._seen.pop(key, None)
        if was is None:
            return None
        for owner in was.owners:
            self._dependents[owner].discard(key)
            if not self._dependents[owner]:
                del self._dependents[owner]
        self._content[was.scope].discard(key)
        if not self._content[was.scope]:
            del self._content[was.scope]
        if was.namespace:
            self._namespaces.pop((was.scope[0], was.namespace), None)
        return was

    def _revisit(self, key: str | None) -> list[Effect]:
        """Look again at an object that may have been waiting."""
        if key is None or not self._seen[key].deleting:
            return []
        return self._judge(self._seen[key])

    def _judge(self, seen: Seen) -> list[Effect]:
        """What the object's state asks for."""
        if seen.deleting:
            return [*self._waited_for(seen), *self._emptied(seen)]
        home = self._namespaces.get(seen.scope)
        leaving = home is not None and self._seen[home].deleting
        if leaving or (seen.owners and not any(self._owns(uid, seen) for uid in seen.owners)):
            return [Collect(seen.key, seen.uid)]
        return []

    def _owns(self, uid: str, seen: Seen) -> bool:
        """Whether the owner exists, where an owner may be: in the same namespace or in none."""
        key = self._keys.get(uid)
        if key is None:
            return False
        tenant, namespace = self._seen[key].scope
        return tenant == seen.scope[0] and namespace in ("", seen.scope[1])

    def _waited_for(self, seen: Seen) -> list[Effect]:
        dependents = [self._seen[key] for key in sorted(self._dependents.get(seen.uid, ()))]
        if ORPHAN in seen.finalizers:
            return [Disown(one.key, seen.uid) for one in dependents] or [Release(seen.key, ORPHAN)]
        if FOREGROUND not in seen.finalizers:
            return []
        effects: list[Effect] = [
            Collect(one.key, one.uid, foreground=one.uid in self._dependents)
            for one in dependents
            if not one.deleting
        ]
        if not any(seen.uid in one.blocking for one in dependents):
            effects.append(Release(seen.key, FOREGROUND))
        return effects

    def _emptied(self, seen: Seen) -> list[Effect]:
        if not seen.namespace:
            return []
        content = self._content.get((seen.scope[0], seen.namespace))
        if not content:
            return [Finish(seen.key)]
        left = (self._seen[key] for key in sorted(content))
        return [Collect(one.key, one.uid) for one in left if not one.deleting]


def _furnished(seen: Seen) -> list[Effect]:
    if not seen.namespace or seen.deleting:
        return []
    return [Furnish((seen.scope[0], seen.namespace))]
