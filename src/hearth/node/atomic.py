"""Writes a directory of files so that a reader sees all of the old or all of the new ones.

Files lie in a directory of their own, ``..data`` is a link to it that is replaced at once, and what
a reader opens are links through ``..data``.

Source: kubelet's AtomicWriter (pkg/volume/util/atomic_writer.go).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

from hearth.node.core.payload import File, Files

DATA = "..data"


def write_files(directory: Path, files: Files, group: int | None = None) -> bool:
    """Make ``directory`` show exactly ``files``; returns whether anything had to change.

    Args:
        directory: is there already.
        files: by path relative to it.
        group: that may read them, None: only as their modes say (a pod's ``fsGroup``).
    """
    link = directory / DATA
    old = os.readlink(link) if link.is_symlink() else None
    if old is not None and _holds(directory / old, files):
        return False
    stamp = time.strftime("..%Y_%m_%d_%H_%M_%S.", time.gmtime())
    fresh = Path(tempfile.mkdtemp(prefix=stamp, dir=directory))
    fresh.chmod(0o755)
    for name, file in files.items():
        path = fresh / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
        path.chmod(file.mode if group is None else file.mode | 0o440)
        if file.owner is not None:
            with contextlib.suppress(PermissionError):
                os.chown(path, file.owner, -1)
    if group is not None:
        give_to_group(fresh, group)
    _replace_link(link, fresh.name)
    _show(directory, {name.split("/")[0] for name in files})
    if old is not None:
        shutil.rmtree(directory / old, ignore_errors=True)
    return True


def give_to_group(root: Path, group: int) -> None:
    """What is below belongs to the group, as far as we may say so."""
    for path in (root, *root.rglob("*")):
        with contextlib.suppress(PermissionError):
            os.chown(path, -1, group, follow_symlinks=False)


def _holds(root: Path, files: Files) -> bool:
    there = {str(p.relative_to(root)): p for p in root.rglob("*") if p.is_file()}
    return there.keys() == files.keys() and all(
        _is(path, files[name]) for name, path in there.items()
    )


def _is(path: Path, file: File) -> bool:
    same_mode = stat.S_IMODE(path.stat().st_mode) | 0o440 == file.mode | 0o440
    return same_mode and path.read_bytes() == file.data


def _replace_link(link: Path, target: str) -> None:
    fresh = link.with_name(f"{link.name}_tmp")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    fresh.symlink_to(target)
    fresh.rename(link)


def _show(directory: Path, names: set[str]) -> None:
    for entry in directory.iterdir():
        if not entry.name.startswith("..") and entry.name not in names and entry.is_symlink():
            entry.unlink()
    for name in names:
        entry = directory / name
        if not entry.is_symlink():
            entry.symlink_to(f"{DATA}/{name}")
