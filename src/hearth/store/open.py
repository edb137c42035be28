"""Opens a store."""

from __future__ import annotations

from pathlib import Path

from hearth.store.backend import Backend
from hearth.store.memory import MemoryBackend
from hearth.store.sqlite import SqliteBackend


def open_store(path: Path | None) -> Backend:
    """Open the store in ``path`` (an SQLite file, made if absent), or one in memory for None.

    Raises:
        StoreUnavailable: the file is in use, unreadable, or of a newer version.
    """
    return MemoryBackend() if path is None else SqliteBackend(path)
