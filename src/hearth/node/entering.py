"""Runs commands inside a pod that is a process: its namespaces, cgroups, user and environment."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: Joins the cgroups (its arguments up to ``--``), then becomes what follows.
_JOIN = (
    'while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs" || exit 126; shift; done; shift; '
    'exec "$@"'
)
OUTPUT_MAX_BYTES = 16 * 2**10  #: of a probe's command


@dataclass(frozen=True, slots=True)
class Inside:
    """Where a pod's processes live."""

    pid: int  #: one of them
    cgroups: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def command(self, command: Sequence[str]) -> list[str]:
        """The command line that runs ``command`` in there.

        Raises:
            ProcessLookupError: the pod has ended.
        """
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
            own = [name for name in ("net", "mnt", "user") if not _is_ours(self.pid, name)]
        except OSError as error:
            raise ProcessLookupError(f"process {self.pid} has ended") from error
        ids = {words[0]: words[1] for line in status.splitlines() if len(words := line.split()) > 1}
        names = {"net": "--net", "mnt": "--mount", "user": "--user"}
        enter = ["nsenter", f"--target={self.pid}", "--wd", *(names[name] for name in own)]
        if "user" in own:
            enter.append("--preserve-credentials")
        elif int(ids["Uid:"]) != os.geteuid():
            enter += [f"--setgid={ids['Gid:']}", f"--setuid={ids['Uid:']}"]
        join = ["/bin/sh", "-c", _JOIN, "join", *self.cgroups, "--"] if self.cgroups else []
        return [*join, *enter, "--", *command]

    async def run(self, command: Sequence[str]) -> tuple[int, str]:
        """Run a command to its end; returns its exit code and what it printed.

        It is killed when the caller is cancelled.
        """
        process = await asyncio.create_subprocess_exec(
            *self.command(command),
            env=dict(self.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            out, _ = await process.communicate()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        return process.returncode or 0, out[-OUTPUT_MAX_BYTES:].decode(errors="replace")


def _is_ours(pid: int, namespace: str) -> bool:
    return os.readlink(f"/proc/{pid}/ns/{namespace}") == os.readlink(f"/proc/self/ns/{namespace}")
