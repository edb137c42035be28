"""Runs commands in containers, with their input, output and terminal.

By containerd's own client: CRI streams by SPDY, which no library here speaks.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class InsideContainer:
    """A ``node.entering.Within``."""

    socket: Path  #: containerd's
    container: str  #: its ID
    pid: int  #: that holds the pod's namespaces

    @property
    def environment(self) -> Mapping[str, str]:
        """The command has its container's; this is for containerd's client."""
        return {}

    def command(self, command: Sequence[str], *, tty: bool = False) -> list[str]:
        """The command line that runs ``command`` in the container."""
        client = shutil.which("ctr") or "ctr"
        enter = [client, "--address", str(self.socket), "--namespace", "k8s.io", "tasks", "exec"]
        terminal = ["--tty"] if tty else []
        return [*enter, "--exec-id", uuid.uuid4().hex, *terminal, self.container, *command]
