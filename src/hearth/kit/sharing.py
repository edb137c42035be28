"""Equal parts of decoded JSON kept once.

Objects are much alike: the same keys, the same labels, the same conditions, the same containers in
a Service, its Configuration, its Revision and all others of their kinds. Decoded, each brings its
own copy of them (measured: 83 KB for the five objects of a service, 20 when equal parts are one).
"""

from __future__ import annotations

from sys import intern
from typing import Any, TypeAlias

_REMEMBERED_MAX = 4_000  #: parts, in each of two generations
_SIZE_MAX = 12  #: entries of a part that is shared

#: What a part holds: equal for equal parts, and for no others.
_Content: TypeAlias = tuple[Any, ...]


class Sharing:
    """Remembers maps and lists; what it returns must never be changed.

    What all objects have alike is asked for again and again, and what the objects of one service
    have alike within moments. So a part is remembered until some thousands of others have been met
    since: to remember what nobody asks for again would cost more than it saves.
    """

    def __init__(self) -> None:
        self._young: dict[_Content, Any] = {}
        self._old: dict[_Content, Any] = {}

    def of(self, value: Any) -> Any:
        """The same value, with equal parts shared."""
        kind = type(value)
        if kind is str:
            return intern(value)
        if kind is dict:
            mapped = {intern(key): self.of(each) for key, each in value.items()}
            return self._one(mapped, (dict, *mapped, *map(_token, mapped.values())))
        if kind is list:
            listed = [self.of(each) for each in value]
            return self._one(listed, (list, *map(_token, listed)))
        return value

    def _one(self, made: Any, content: _Content) -> Any:
        if len(made) > _SIZE_MAX:
            return made
        found = self._young.get(content)
        if found is None:
            if len(self._young) >= _REMEMBERED_MAX:
                self._young, self._old = {}, self._young
            found = self._young[content] = self._old.get(content, made)
        return found


def _token(value: Any) -> Any:
    """Tells a value from all others: parts are one already, and 1 is not True."""
    kind = type(value)
    if kind is str:
        return value
    return id(value) if kind in (dict, list) else (kind, value)
