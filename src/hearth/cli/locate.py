"""Finds the API server: as kubectl does, else the last ``hearth up`` of this user.

``$XDG_STATE_HOME/hearth/last`` names the state directory of that ``hearth up``, whose
``ready.json`` exists while it runs: ``{"gateway": URL, "api": URL, "kubeconfig": PATH, "pid": N}``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from hearth.cli.errors import Exit, Failure


def state_home(environ: Mapping[str, str]) -> Path:
    """Where this user's ``hearth up`` keeps its state unless told otherwise."""
    base = environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "hearth"


def find_kubeconfig(asked: Path | None, environ: Mapping[str, str]) -> Path:
    """The kubeconfig to use: asked for, ``$KUBECONFIG``, the last ``hearth up``'s, kubectl's.

    Raises:
        Failure: there is none, or the last ``hearth up`` has ended.
    """
    if asked is not None:
        return asked
    named = [Path(part) for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    if named:
        return next((path for path in named if path.exists()), named[0])
    if ready := last_ready(environ):
        return Path(ready["kubeconfig"])
    usual = Path.home() / ".kube" / "config"
    if usual.exists():
        return usual
    said = "no server is known: start one with 'hearth up', or name one with --kubeconfig"
    raise Failure(said, Exit.UNREACHABLE)


def last_ready(environ: Mapping[str, str]) -> dict[str, Any] | None:
    """What the last ``hearth up`` of this user wrote when it was ready; None if there never was.

    Raises:
        Failure: it does not run any more.
    """
    pointer = state_home(environ) / "last"
    try:
        state = Path(pointer.read_text().strip())
    except OSError:
        return None
    ready = read_ready(state)
    if ready is None:
        said = f"no hearth up is running: the last one, with state {state}, has ended"
        raise Failure(f"{said}; start it again, or name a server with --kubeconfig",
                      Exit.UNREACHABLE)  # fmt: skip
    return ready


def read_ready(state: Path) -> dict[str, Any] | None:
    """The ``ready.json`` of a running ``hearth up``, or None."""
    try:
        ready = msgspec.json.decode((state / "ready.json").read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError):
        return None
    return ready if _runs(ready.get("pid")) and "kubeconfig" in ready else None


def _runs(pid: object) -> bool:
    if not isinstance(pid, int):
        return True  # it did not say: asking it will tell
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
