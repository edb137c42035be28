"""A process that we started, or that an earlier one of us did: known by a pidfd."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import subprocess
from pathlib import Path


class Process:
    """A running process; ``close`` it when it is not needed any more."""

    def __init__(self, pid: int, child: subprocess.Popen[bytes] | None = None) -> None:
        """Take hold of it.

        Raises:
            ProcessLookupError: there is none with that pid.
        """
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self._child = child

    @property
    def ended(self) -> bool:
        """Whether it runs no more."""
        return bool(select.select([self.pidfd], [], [], 0)[0])

    @property
    def status(self) -> int | None:
        """How it ended; None while it runs, and for a process that is not our child."""
        return self._child.poll() if self._child is not None else None

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)

    async def wait(self) -> None:
        """Wait for its end, without a thread: the kernel tells."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(self.pidfd, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self.pidfd)
        if self._child is not None:
            self._child.wait()

    async def stop(self, timeout_s: float) -> None:
        """Ask it to end, and make it after so long."""
        self.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(timeout_s):
                await self.wait()
        except TimeoutError:
            self.send_signal(signal.SIGKILL)
            await self.wait()

    def close(self) -> None:
        """Let go of it."""
        os.close(self.pidfd)


def started_at(pid: int) -> int:
    """When the process started, in ticks since boot: with the pid it names one process for ever.

    Raises:
        OSError: there is none.
    """
    stat = Path(f"/proc/{pid}/stat").read_text()
    return int(stat.rsplit(")", 1)[1].split()[19])
