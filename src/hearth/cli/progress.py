"""Tells on stderr what is being waited for: redrawn on a terminal, plain lines elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from typing import TextIO

from hearth.kit.tasks import TaskGroup

_TICK_S = 0.1
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_CLEAR = "\r\x1b[K"
_LABEL_WIDTH = 10


class Progress:
    """Lines ``label  text``; the last one lives while something is waited for."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self._started_s = time.monotonic()
        self._live = ""
        self._frame = 0

    def done(self, label: str, text: str) -> None:
        """A line that stays."""
        self._write((_CLEAR if self._is_terminal else "") + _line(label, text) + "\n")
        self._live = ""

    def waiting(self, text: str) -> None:
        """What is waited for now: replaces the last one on a terminal, a line of its own else."""
        if text == self._live:
            return
        self._live = text
        if self._is_terminal:
            self._draw()
        else:
            self._write(_line("waiting", text) + "\n")

    @contextlib.asynccontextmanager
    async def ticking(self) -> AsyncIterator[None]:
        """Keep the live line moving on a terminal for the length of the block, then remove it."""
        if not self._is_terminal:
            yield
            return
        tasks = TaskGroup()
        tasks.start(self._tick(), name="progress")
        try:
            yield
        finally:
            await tasks.close()
            self._write(_CLEAR)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self._draw()

    def _draw(self) -> None:
        self._frame += 1
        took_s = time.monotonic() - self._started_s
        frame = _FRAMES[self._frame % len(_FRAMES)]
        first = self._live.splitlines()[0] if self._live else ""
        self._write(f"{_CLEAR}{frame} {_line('waiting', f'{took_s:4.1f} s  {first}')[:110]}")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _line(label: str, text: str) -> str:
    return f"{label:<{_LABEL_WIDTH}}{text}"
