"""Finds an app's files in a directory, and packs them so that equal files give equal bytes."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hearth.cli.core.ignore import Ignore
from hearth.cli.core.tables import format_bytes
from hearth.cli.errors import Failure
from hearth.loader.packages import FILES_MAX, PACKAGE_MAX_BYTES, UNPACKED_MAX_BYTES

IGNORE_FILES = (".hearthignore", ".gitignore")  #: the first that exists is used
_EPOCH = (1980, 1, 1, 0, 0, 0)  #: the earliest time a zip can hold
_COMPRESSION = 6
_LARGEST_NAMED = 3


@dataclass(frozen=True, slots=True)
class File:
    """One file of a package."""

    path: str  #: in the package, with ``/``
    source: Path
    size_bytes: int
    is_executable: bool


@dataclass(frozen=True, slots=True)
class Archive:
    """A package, ready to upload."""

    content: bytes
    files: int

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` of the content."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"


def find_files(source: Path) -> list[File]:
    """The files of the directory that belong to the app, sorted by path.

    Raises:
        Failure: it is no directory, or holds what a package may not.
    """
    if not source.is_dir():
        found = "is a file" if source.exists() else "does not exist"
        raise Failure(f"source {source}: {found}, expected a directory")
    try:
        files = list(_walk(source, source.resolve(), "", _ignore(source)))
    except OSError as error:
        raise Failure(f"source {error.filename}: {error.strerror}") from error
    check_size(f"source {source}", files)
    return sorted(files, key=lambda file: file.path)


def pack(files: Sequence[File], what: str) -> Archive:
    """A zip of the files that depends on their paths, contents and x-bits alone.

    Raises:
        Failure: it is over the limit; ``what`` names it.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION) as archive:
        for file in files:
            entry = zipfile.ZipInfo(file.path, _EPOCH)
            entry.create_system = 3  # Unix, whatever this machine is
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (stat.S_IFREG | (0o755 if file.is_executable else 0o644)) << 16
            archive.writestr(entry, file.source.read_bytes())
    content = buffer.getvalue()
    if len(content) > PACKAGE_MAX_BYTES:
        said = f"{what}: is {format_bytes(len(content))} packed"
        raise Failure(f"{said}, at most {format_bytes(PACKAGE_MAX_BYTES)} are taken")
    return Archive(content, len(files))


def check_size(what: str, files: Sequence[File]) -> None:
    """Raises ``Failure`` when the files are too many or too large to be unpacked by a pod."""
    if len(files) > FILES_MAX:
        said = f"{what}: has {len(files)} files, at most {FILES_MAX}"
        raise Failure(f"{said}; leave files out with a {IGNORE_FILES[0]}")
    total = sum(file.size_bytes for file in files)
    if total <= UNPACKED_MAX_BYTES:
        return
    largest = sorted(files, key=lambda file: -file.size_bytes)[:_LARGEST_NAMED]
    named = ", ".join(f"{file.path} ({format_bytes(file.size_bytes)})" for file in largest)
    said = f"{what}: has {format_bytes(total)}, at most {format_bytes(UNPACKED_MAX_BYTES)}"
    raise Failure(f"{said}; the largest: {named}; leave files out with a {IGNORE_FILES[0]}")


def _ignore(source: Path) -> Ignore:
    for name in IGNORE_FILES:
        if (file := source / name).is_file():
            return Ignore(file.read_text(errors="replace").splitlines())
    return Ignore()


def _walk(folder: Path, root: Path, prefix: str, ignore: Ignore) -> Iterator[File]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            path = prefix + entry.name
            is_folder = os.path.isdir(entry.path)  # no error for a link to itself
            if ignore.excludes(path, is_folder=is_folder):
                continue
            if entry.is_symlink():
                _check_link(Path(entry.path), root, path)
            _check_name(path)
            if is_folder:
                yield from _walk(Path(entry.path), root, f"{path}/", ignore)
            elif entry.is_file():
                found = entry.stat()
                is_executable = bool(found.st_mode & 0o111)
                yield File(path, Path(entry.path), found.st_size, is_executable)
            else:
                raise Failure(f"source file {path}: is neither a file nor a directory")


def _check_link(link: Path, root: Path, path: str) -> None:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise Failure(f"source file {path}: is a link to nowhere ({os.readlink(link)})") from error
    if not target.is_relative_to(root):
        raise Failure(f"source file {path}: is a link that leaves the source ({target})")
    if link.parent.resolve().is_relative_to(target):
        raise Failure(f"source file {path}: is a link to a directory that it is in ({target})")


def _check_name(path: str) -> None:
    if "\\" in path:
        raise Failure(f"source file {path!r}: has a backslash in its name")
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise Failure(f"source file {path!r}: has a name that is not UTF-8") from error
