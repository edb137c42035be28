"""Mounts, and a view of the file system of a pod's own.

A mount point need not be there: where it is missing, the nearest directory above it is replaced, in
the pod's view alone, by an empty one that holds everything that was in it. So nothing of a pod is
ever made on the machine itself.

Source: mount(2), umount2(2), mount_namespaces(7), user_namespaces(7).
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE, _MS_NOATIME = 32, 4096, 16384, 1 << 18, 1024
_MS_NODIRATIME, _MS_RELATIME = 2048, 1 << 21
_MNT_DETACH = 2
#: Flags that a mount keeps when it is made read-only: without a right to the machine they are
#: locked (mount_namespaces(7)). In ``statvfs`` they have numbers of their own.
_KEPT = {1: _MS_RDONLY, 2: _MS_NOSUID, 4: _MS_NODEV, 8: _MS_NOEXEC,
         1024: _MS_NOATIME, 2048: _MS_NODIRATIME, 4096: _MS_RELATIME}  # fmt: skip
_OPEN_TREE, _MOVE_MOUNT = 428, 429  #: system calls, of the same number everywhere
_AT_FDCWD, _MOVE_MOUNT_F_EMPTY_PATH = -100, 4
_CLONE_WHOLE = 1 | 0x8000 | os.O_CLOEXEC  #: OPEN_TREE_CLONE and AT_RECURSIVE
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Bind:
    """A directory or file of the machine, to be seen elsewhere."""

    source: str
    target: str  #: absolute
    read_only: bool


def mount_tmpfs(target: str, *, mode: int, size_bytes: int = 0) -> None:
    """An empty file system in memory; raises ``OSError``."""
    size = f",size={size_bytes}" if size_bytes else ""
    _mount("tmpfs", target, "tmpfs", _MS_NOSUID | _MS_NODEV, f"mode={mode:o}{size}")


def unmount(target: str) -> None:
    """Take a mount away, now from sight and for good once nobody uses it; raises ``OSError``."""
    if _libc.umount2(os.fsencode(target), _MNT_DETACH):
        raise _error(f"unmount {target}")


def leave_shared_view() -> None:
    """Give this process, which must have one thread, a view of the file system of its own.

    Without root it is given by a user namespace in which it keeps its user and group.

    Raises:
        OSError: the machine lets this user have none.
    """
    user, group = os.geteuid(), os.getegid()
    if _libc.unshare(_CLONE_NEWNS):
        if _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS):
            raise _error("cannot get a mount namespace of its own")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE, None)


def bind_all(binds: Sequence[Bind]) -> None:
    """Show each of them in this process's view, which must be its own already.

    Raises:
        OSError: names the mount.
    """
    here = os.open("/", os.O_PATH | os.O_CLOEXEC)
    sources = {bind.source: os.open(bind.source, os.O_PATH | os.O_CLOEXEC) for bind in binds}
    try:
        for bind in binds:
            descriptor = sources[bind.source]
            is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            _make_point(Path(bind.target), is_directory)
            # by descriptor: an earlier mount may have hidden the path
            _mount(f"/proc/self/fd/{descriptor}", bind.target, None, _MS_BIND | _MS_REC, None)
            if bind.read_only:
                _make_read_only(bind.target)
        if "/" in _own:  # what is mounted from the old root had to find it still there
            os.fchdir(here)
            unmount(".")
            os.chdir("/")
    finally:
        os.close(here)
        for descriptor in sources.values():
            os.close(descriptor)


def _make_point(target: Path, is_directory: bool) -> None:
    if target.exists():
        return
    above = next(parent for parent in target.parents if parent.exists())
    _make_own(above)
    target.parent.mkdir(parents=True, exist_ok=True)
    if is_directory:
        target.mkdir()
    else:
        target.touch()


_own: set[str] = set()  #: directories of this process's view that are empty ones made by us


def _make_own(directory: Path) -> None:
    """Put an empty directory in the place of one, and everything that was in it into that."""
    directory = directory.resolve()
    if str(directory) in _own:
        return
    if str(directory) == "/":
        _change_root()
    else:
        _cover(directory)
    _own.add(str(directory))


def _cover(directory: Path) -> None:
    mode = stat.S_IMODE(directory.stat().st_mode)
    below = os.open(directory, os.O_PATH | os.O_CLOEXEC)
    try:
        mount_tmpfs(str(directory), mode=mode)
        _fill(Path(f"/proc/self/fd/{below}"), directory)
    finally:
        os.close(below)


def _change_root() -> None:
    """Pivot to an empty root that shows all that was in the old one (pivot_root(2))."""
    cover = "/tmp"
    below = _libc.syscall(_OPEN_TREE, _AT_FDCWD, os.fsencode(cover), _CLONE_WHOLE)
    if below < 0:
        raise _error(f"clone {cover}")
    try:
        mount_tmpfs(cover, mode=0o755)
        _fill(Path("/"), Path(cover), leave_out=cover)
        point = f"{cover}{cover}"
        os.mkdir(point)
        where = (_AT_FDCWD, os.fsencode(point), _MOVE_MOUNT_F_EMPTY_PATH)
        if _libc.syscall(_MOVE_MOUNT, below, b"", *where):
            raise _error(f"mount {cover}")
        os.chdir(cover)
        if _libc.pivot_root(b".", b"."):
            raise _error("cannot change the root")
    finally:
        os.close(below)


def _fill(source: Path, into: Path, leave_out: str = "") -> None:
    """Show every entry of ``source`` in ``into``."""
    for entry in source.iterdir():
        point = into / entry.name
        if str(entry) == leave_out:
            continue
        if entry.is_symlink():
            point.symlink_to(os.readlink(entry))
            continue
        try:
            is_directory = stat.S_ISDIR(entry.stat().st_mode)
        except FileNotFoundError:  # gone meanwhile
            continue
        if is_directory:
            point.mkdir()
        else:
            point.touch()
        _mount(str(entry), str(point), None, _MS_BIND | _MS_REC, None)


def _make_read_only(target: str) -> None:
    flags = os.statvfs(target).f_flag
    kept = sum(number for bit, number in _KEPT.items() if flags & bit)
    kept |= _MS_REMOUNT | _MS_BIND | _MS_RDONLY
    _mount("none", target, None, kept, None)


def _mount(source: str, target: str, kind: str | None, flags: int, options: str | None) -> None:
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind)]
    data = None if options is None else options.encode()
    if _libc.mount(*words, ctypes.c_ulong(flags), data):
        raise _error(f"mount {target}")


def _error(said: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{said}: {os.strerror(number)}")
