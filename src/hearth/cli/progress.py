"""Tells on stderr what is being waited for: redrawn on a terminal, plain lines elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import time
from collections.abc import AsyncIterator
from typing import TextIO

from hearth.kit.tasks import TaskGroup

_TICK_S = 0.1
_WORTH_S = 0.3  #: what lasts less is no line of its own
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_CLEAR = "\r\x1b[K"
_LABEL_WIDTH = 10


class Progress:
    """Lines ``label  text``; the last one lives while something is waited for."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self._started_s = time.monotonic()
        self._live = ""  # what is waited for now
        self._since_s = self._started_s
        self._said = ""  # of that, what was printed
        self._frame = 0

    def done(self, label: str, text: str) -> None:
        """A line that stays."""
        self._live = self._said = ""
        self._write((_CLEAR if self._is_terminal else "") + _line(label, text) + "\n")

    def waiting(self, text: str) -> None:
        """What is waited for now; what is over before it was worth a look is not shown."""
        self._live, self._since_s = text, time.monotonic()

    @contextlib.asynccontextmanager
    async def ticking(self) -> AsyncIterator[None]:
        """Show what is waited for, for the length of the block."""
        tasks = TaskGroup()
        tasks.start(self._tick(), name="progress")
        try:
            yield
        finally:
            await tasks.close()
            if self._is_terminal:
                self._write(_CLEAR)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            if self._is_terminal:
                self._draw()
            elif self._live != self._said and time.monotonic() - self._since_s >= _WORTH_S:
                self._said = self._live
                self._write(_line("waiting", self._live) + "\n")

    def _draw(self) -> None:
        self._frame += 1
        took_s = time.monotonic() - self._started_s
        frame = _FRAMES[self._frame % len(_FRAMES)]
        first = self._live.splitlines()[0] if self._live else ""
        columns = shutil.get_terminal_size().columns - 1
        self._write(_CLEAR + f"{frame} {took_s:4.1f} s  {first}"[:columns])

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _line(label: str, text: str) -> str:
    return f"{label:<{_LABEL_WIDTH}}{text}"
