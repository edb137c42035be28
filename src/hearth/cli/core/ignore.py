"""Which files of a source directory are left out: the common part of gitignore's patterns.

Comments, ``!`` to take back, a trailing ``/`` for folders only, a ``/`` elsewhere to anchor the
pattern at the root, ``*``, ``?``, ``[…]`` and ``**``. The last pattern that matches decides.

Source: gitignore(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

#: Never part of an app: history, environments, caches.
ALWAYS = (".git", ".venv/", "__pycache__/", "node_modules/", ".mypy_cache/", ".pytest_cache/")


@dataclass(frozen=True, slots=True)
class _Rule:
    regex: re.Pattern[str]
    only_folders: bool
    takes_back: bool


class Ignore:
    """The patterns of one file, below :data:`ALWAYS`, which cannot be taken back."""

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self._always = [rule for line in ALWAYS if (rule := _parse(line))]
        self._rules = [rule for line in lines if (rule := _parse(line))]

    def excludes(self, path: str, *, is_folder: bool) -> bool:
        """Whether to leave out ``path`` (relative, with ``/``), given that its folder is not."""
        if any(_matches(rule, path, is_folder=is_folder) for rule in self._always):
            return True
        for rule in reversed(self._rules):
            if _matches(rule, path, is_folder=is_folder):
                return not rule.takes_back
        return False


def _matches(rule: _Rule, path: str, *, is_folder: bool) -> bool:
    return (is_folder or not rule.only_folders) and rule.regex.fullmatch(path) is not None


def _parse(line: str) -> _Rule | None:
    pattern = line.rstrip("\r\n").rstrip(" ")
    if not pattern or pattern.startswith("#"):
        return None
    takes_back = pattern.startswith("!")
    pattern = pattern.removeprefix("!").removeprefix("\\")
    only_folders = pattern.endswith("/")
    pattern = pattern.rstrip("/")
    anchored = "/" in pattern
    body = "".join(_translate(pattern.removeprefix("/")))
    if not body:
        return None
    try:
        regex = re.compile(body if anchored else f"(?:.*/)?{body}")
    except re.error:
        return None  # git, too, takes a pattern that it cannot read to match nothing
    return _Rule(regex, only_folders, takes_back)


_PIECES = re.compile(r"(?P<any_folders>\*\*/)|(?P<all>\*\*)|(?P<star>\*)|(?P<one>\?)"
                     r"|(?P<set>\[[!^]?\]?[^]]*\])|(?P<plain>\\?.)")  # fmt: skip
_REGEX = {"any_folders": "(?:.*/)?", "all": ".*", "star": "[^/]*", "one": "[^/]"}


def _translate(pattern: str) -> Iterable[str]:
    for piece in _PIECES.finditer(pattern):
        kind, text = str(piece.lastgroup), piece.group()
        if kind == "set":
            negated = text[1] in "!^"
            inside = text[2:-1] if negated else text[1:-1]
            escaped = inside.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
            yield f"[{'^' if negated else ''}{escaped}]"
        elif kind == "plain":
            yield re.escape(text.removeprefix("\\") or text)
        else:
            yield _REGEX[kind]
