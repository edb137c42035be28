"""Installs ``requirements.txt`` into a layer: an archive that goes on the app's import path.

Layers are cached in ``$XDG_CACHE_HOME/hearth/layers`` by what they were made from, so that the same
requirements are installed once.
"""

from __future__ import annotations

import compileall
import hashlib
import os
import platform
import py_compile
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hearth.cli.errors import Failure
from hearth.cli.source import Archive, File, check_size, pack

REQUIREMENTS = "requirements.txt"
_FORMAT = "1"  #: part of the cache's key: change it when layers are made differently
_LOCK = ".lock"  #: the installer's own
_SAID_LINES = 15  #: of the installer's output, for the user
#: A requirement whose content the file does not pin: a path, another file.
_LOCAL = re.compile(r"^\s*(-r|-c|-e|--requirement|--constraint|--editable|\.|/)|file:", re.M)


def has_requirements(source: Path) -> bool:
    """Whether the source asks for any dependencies."""
    try:
        text = (source / REQUIREMENTS).read_text()
    except FileNotFoundError:
        return False
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{REQUIREMENTS}: cannot be read: {error}") from error
    return any(line.strip() and not line.strip().startswith("#") for line in text.splitlines())


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where this user's layers are kept."""
    base = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "hearth" / "layers"


def cached_layer(source: Path, cache: Path) -> Archive | None:
    """The layer for the source's requirements, if it has been made before."""
    try:
        content = _cache_file(source, cache).read_bytes()
    except OSError:
        return None
    return None if _is_local(source) else Archive(content, files=0)


def build_layer(source: Path, cache: Path) -> Archive:
    """Install the source's requirements, and keep the layer in the cache.

    Raises:
        Failure: they cannot be installed, or are over the limit.
    """
    what = f"the layer for {REQUIREMENTS}"
    with tempfile.TemporaryDirectory(prefix="hearth-layer-") as folder:
        target = Path(folder)
        _install(source, target)
        # Compiled here, since a pod that starts cold must not; unchecked, since times are not kept.
        compileall.compile_dir(
            target,
            quiet=2,
            stripdir=folder,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        files = _files(target)
        check_size(what, files)
        layer = pack(files, what)
    _keep(_cache_file(source, cache), layer.content)
    return layer


def _install(source: Path, target: Path) -> None:
    command = [_uv(), "pip", "install", "--quiet", "--target", str(target)]
    command += ["--python", sys.executable, "--requirement", REQUIREMENTS]
    done = subprocess.run(
        command, cwd=source, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[-_SAID_LINES:])
        raise Failure(f"{REQUIREMENTS}: cannot be installed:\n{said}")


def _uv() -> str:
    from uv import find_uv_bin

    return str(find_uv_bin())


def _files(target: Path) -> list[File]:
    found = []
    for path in sorted(target.rglob("*")):
        relative = path.relative_to(target)
        if path.is_file() and relative.name != _LOCK:
            status = path.stat()
            found.append(
                File(relative.as_posix(), path, status.st_size, bool(status.st_mode & 0o111))
            )
    return found


def _cache_file(source: Path, cache: Path) -> Path:
    python = f"{sys.implementation.cache_tag} {platform.system()} {platform.machine()}"
    requirements = (source / REQUIREMENTS).read_bytes()
    made_from = b"\0".join([_FORMAT.encode(), python.encode(), requirements])
    return cache / f"{hashlib.sha256(made_from).hexdigest()}.zip"


def _is_local(source: Path) -> bool:
    return _LOCAL.search((source / REQUIREMENTS).read_text()) is not None


def _keep(file: Path, content: bytes) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = file.with_suffix(f".{os.getpid()}.new")
        new.write_bytes(content)
        new.replace(file)
    except OSError as error:
        raise Failure(f"layer cache {file.parent}: {error.strerror}") from error
