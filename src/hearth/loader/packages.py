"""Fetches packages of code, checks them and unpacks them, so that nothing leaves their folder.

A package is a zip, a tar (plain or gzip), one Python file (``data:`` only) or a directory
(``file:`` only, used in place).
"""

from __future__ import annotations

import base64
import errno
import gzip
import hashlib
import io
import lzma
import os
import re
import shutil
import stat
import struct
import tarfile
import tempfile
import urllib.parse
import urllib.request
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from hearth.loader.protocol import Package

PACKAGE_MAX_BYTES = 250 * 2**20  #: of an archive
UNPACKED_MAX_BYTES = 2**30  #: of everything in it
FILES_MAX = 50_000
FETCH_TIMEOUT_S = 30.0
_DIRECTORY_MAX_BYTES = FILES_MAX * 512  #: of a zip's central directory, which is read whole
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
#: What a file system says to names that no archive should hold.
_BAD_NAMES = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EINVAL)


class CodeError(Exception):
    """A package cannot be used."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason  #: ``CodeUnavailable`` or ``CodeInvalid``
        self.message = message


def local_directory(package: Package) -> Path | None:
    """The directory that a ``file:`` URL names, or None when it names something else.

    Raises:
        CodeError: there is nothing at that path.
    """
    url = urllib.parse.urlsplit(package.url)
    if url.scheme != "file":
        return None
    path = Path(urllib.request.url2pathname(url.path))
    if not path.exists():
        raise CodeError("CodeUnavailable", f"package {package.url}: there is no {path}")
    return path if path.is_dir() else None


def check_digest(package: Package) -> None:
    """Refuse a digest that is none, and a package from elsewhere without one.

    Raises:
        CodeError: says what was expected.
    """
    scheme = package.url.split(":", 1)[0]
    if package.digest and not _DIGEST.fullmatch(package.digest):
        said = f"digest is {package.digest[:100]!r}, expected sha256: and 64 hex digits"
        raise CodeError("CodeInvalid", f"package {package.url[:200]}: {said}")
    if not package.digest and scheme not in ("file", "data"):
        raise CodeError("CodeInvalid", f"package {package.url[:200]}: has no digest")


def cache_name(package: Package) -> str:
    """The name of the package's folder in a cache: its digest, else a hash of what it is now."""
    if package.digest:
        return package.digest.replace(":", "-")
    identity = package.url
    url = urllib.parse.urlsplit(package.url)
    if url.scheme == "file":
        found = os.stat(urllib.request.url2pathname(url.path))
        identity = f"{identity} {found.st_mtime_ns} {found.st_size}"
    return "url-" + hashlib.sha256(identity.encode()).hexdigest()


def fetch(package: Package) -> bytes:
    """The archive that a ``file:``, ``http(s):`` or ``data:`` URL names.

    Raises:
        CodeError: it cannot be had, or is over the limit.
    """
    scheme = package.url.split(":", 1)[0]
    if scheme == "data":
        return _decode_data(package.url)
    if scheme not in ("file", "http", "https"):
        raise CodeError(
            "CodeInvalid", f"package {package.url[:80]}: scheme {scheme!r} is not known"
        )
    try:
        with urllib.request.urlopen(package.url, timeout=FETCH_TIMEOUT_S) as response:
            content: bytes = response.read(PACKAGE_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise CodeError("CodeUnavailable", f"package {package.url}: {error}") from error
    if len(content) > PACKAGE_MAX_BYTES:
        raise CodeError("CodeInvalid", f"package {package.url}: over {PACKAGE_MAX_BYTES} bytes")
    return content


def _decode_data(url: str) -> bytes:
    """The content of an RFC 2397 URL; white space in it stands for itself."""
    head, comma, body = url.partition(",")
    if not comma:
        raise CodeError("CodeInvalid", "package data: has no comma, expected data:TYPE,CONTENT")
    if head.endswith(";base64"):
        try:
            return base64.b64decode(body, validate=False)
        except ValueError as error:
            raise CodeError("CodeInvalid", f"package data: is not base64: {error}") from error
    return urllib.parse.unquote_to_bytes(body)


def install(package: Package, content: bytes, cache: Path) -> Path:
    """Check and unpack the content into the cache, whole or not at all; returns its folder.

    Raises:
        CodeError: the digest differs, or the archive holds what it must not.
    """
    if package.digest:
        have = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if have != package.digest:
            said = f"package {package.url[:200]}: has digest {have}, expected {package.digest}"
            raise CodeError("CodeInvalid", said)
    target = cache / cache_name(package)
    if target.is_dir():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".new-", dir=cache))
    try:
        _unpack(package, content, folder)
        folder.chmod(0o755)
        try:
            folder.rename(target)
        except OSError:
            if not target.is_dir():  # else someone else was quicker
                raise
    except OSError as error:
        reason = "CodeInvalid" if error.errno in _BAD_NAMES else "CodeUnavailable"
        raise CodeError(reason, f"package {package.url[:200]}: {error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return target


def _unpack(package: Package, content: bytes, folder: Path) -> None:
    if content[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        _unzip(package, content, folder)
    elif package.url.startswith("data:"):
        (folder / "app.py").write_bytes(content.lstrip(b"\r\n"))
    else:
        _untar(package, content, folder)


def _unzip(package: Package, content: bytes, folder: Path) -> None:
    _check_directory(package, content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            _check_size(package, len(entries), sum(entry.file_size for entry in entries))
            for entry in entries:
                mode = entry.external_attr >> 16
                if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise _bad(package, entry.filename, "is a link or a device")
                target = _inside(package, folder, entry.filename)
                if entry.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                with archive.open(entry) as source:
                    _write(target, source, mode)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        said = f"package {package.url[:200]}: is not a good zip: {error}"
        raise CodeError("CodeInvalid", said) from error


def _check_directory(package: Package, content: bytes) -> None:
    """Refuse a zip whose directory would fill the memory before its entries can be counted."""
    at = content.rfind(b"PK\x05\x06", -65557)  # behind it is a comment of at most 64 KiB
    if at >= 0 and len(content) >= at + 16:
        (size,) = struct.unpack_from("<L", content, at + 12)
        if size > _DIRECTORY_MAX_BYTES:
            said = f"package {package.url[:200]}: has too many files, at most {FILES_MAX}"
            raise CodeError("CodeInvalid", said)


def _untar(package: Package, content: bytes, folder: Path) -> None:
    files = size = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive:
                files, size = files + 1, size + member.size
                _check_size(package, files, size)
                target = _inside(package, folder, member.name)
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                elif member.isreg():
                    source = archive.extractfile(member)
                    assert source is not None
                    with source:
                        _write(target, source, member.mode)
                else:
                    raise _bad(package, member.name, "is a link or a device")
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        said = f"package {package.url[:200]}: is neither a zip nor a tar: {error}"
        raise CodeError("CodeInvalid", said) from error


def _write(target: Path, source: IO[bytes], mode: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as out:
        shutil.copyfileobj(source, out)
    target.chmod(0o755 if mode & 0o111 else 0o644)


def _inside(package: Package, folder: Path, name: str) -> Path:
    """Where the entry goes; raises when that is not below the folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name or "\\" in name:
        raise _bad(package, name, "leaves the archive")
    return folder.joinpath(*path.parts)


def _bad(package: Package, name: str, why: str) -> CodeError:
    return CodeError("CodeInvalid", f"package {package.url[:200]}: entry {name!r} {why}")


def _check_size(package: Package, files: int, size: int) -> None:
    if files > FILES_MAX:
        said = f"package {package.url[:200]}: has {files} files, at most {FILES_MAX}"
        raise CodeError("CodeInvalid", said)
    if size > UNPACKED_MAX_BYTES:
        said = f"package {package.url[:200]}: unpacks to {size} bytes, at most {UNPACKED_MAX_BYTES}"
        raise CodeError("CodeInvalid", said)


def obtain(package: Package, cache: Path) -> Path:
    """The package's folder: a local directory in place, else from the cache, else fetched.

    Raises:
        CodeError: it cannot be had or must not be used.
    """
    if (directory := local_directory(package)) is not None:
        return directory
    check_digest(package)
    cached = cache / cache_name(package)
    if cached.is_dir():
        os.utime(cached)
        return cached
    return install(package, fetch(package), cache)


__all__ = [
    "CodeError",
    "cache_name",
    "check_digest",
    "fetch",
    "install",
    "local_directory",
    "obtain",
]
