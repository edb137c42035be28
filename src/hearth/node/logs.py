"""Keeps what containers print: CRI log format, rotated, never more than the limits.

Source: kubernetes design-proposals, "CRI: Log management": ``TIME STREAM F|P TEXT``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

_READ_BYTES = 64 * 2**10
#: After this much in one go the reader pauses: a flood must not take the whole event loop, and the
#: pipe then slows the writer down.
_BURST_BYTES = 2**20
_PAUSE_S = 0.2
_TAIL_LINES = 20  #: kept in memory for the pod's status


class ContainerLog:
    """The log of one container, over its restarts: ``0.log`` is the newest file."""

    def __init__(self, folder: Path, *, max_bytes: int, files_max: int) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._max_bytes = max_bytes
        self._files_max = files_max
        self._file: BinaryIO = self._open()
        self._tail: deque[bytes] = deque(maxlen=_TAIL_LINES)
        self._readers: set[_Pipe] = set()
        self.grown = asyncio.Event()  #: set, and replaced, whenever something was written

    def pipes(self) -> tuple[int, int]:
        """Two new file descriptors to write to, for stdout and stderr; the caller closes them."""
        self._tail.clear()
        ends = []
        for stream in (b"stdout", b"stderr"):
            read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            os.set_blocking(write, True)
            self._readers.add(_Pipe(self, read, stream))
            ends.append(write)
        return ends[0], ends[1]

    def tail(self) -> str:
        """The last lines of the current run."""
        for pipe in list(self._readers):
            pipe.drain()
        return b"\n".join(self._tail).decode(errors="replace")

    def write(self, stream: bytes, data: bytes, *, partial: bool) -> None:
        """Keep one line."""
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode()
        mark = b" P " if partial else b" F "
        try:
            self._file.write(at + b" " + stream + mark + data + b"\n")
        except OSError:  # a full disk must not end the pod
            return
        self._tail.append(data[:1024])

    def flush(self) -> None:
        """Make what was written visible to readers, and rotate when it is time."""
        with contextlib.suppress(OSError):
            self._file.flush()
            if self._file.tell() >= self._max_bytes:
                self._rotate()
        grown, self.grown = self.grown, asyncio.Event()
        grown.set()

    def closed(self, pipe: _Pipe) -> None:
        """One of the pipes has ended."""
        self._readers.discard(pipe)

    def close(self) -> None:
        """Let go of everything; the files stay."""
        for pipe in list(self._readers):
            pipe.close()
        with contextlib.suppress(OSError):
            self._file.close()

    def files(self) -> list[Path]:
        """All files, oldest first."""
        return sorted(self._folder.glob("*.log"), key=lambda p: -int(p.stem))

    def _open(self) -> BinaryIO:
        return (self._folder / "0.log").open("ab", buffering=_READ_BYTES)

    def _rotate(self) -> None:
        self._file.close()
        for file in self.files():
            number = int(file.stem) + 1
            if number >= self._files_max:
                file.unlink()
            else:
                file.rename(self._folder / f"{number}.log")
        self._file = self._open()


class _Pipe:
    """Reads one stream of a container as it comes."""

    def __init__(self, log: ContainerLog, fd: int, stream: bytes) -> None:
        self._log = log
        self._fd = fd
        self._stream = stream
        self._rest = b""
        self._burst = 0
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._loop.add_reader(fd, self._readable)

    def drain(self) -> None:
        """Take what is there right now."""
        for _ in range(16):
            if self._fd < 0 or not self._read():
                return

    def close(self) -> None:
        """Stop reading."""
        if self._fd < 0:
            return
        self._loop.remove_reader(self._fd)
        if self._pause is not None:
            self._pause.cancel()
        os.close(self._fd)
        self._fd = -1
        if self._rest:
            self._log.write(self._stream, self._rest, partial=True)
            self._log.flush()
        self._log.closed(self)

    def _readable(self) -> None:
        self._read()
        if self._fd >= 0 and self._burst > _BURST_BYTES:
            self._burst = 0
            self._loop.remove_reader(self._fd)
            self._pause = self._loop.call_later(_PAUSE_S, self._resume)

    def _resume(self) -> None:
        self._pause = None
        if self._fd >= 0:
            self._loop.add_reader(self._fd, self._readable)

    def _read(self) -> bool:
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self.close()
            return False
        self._burst += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._log.write(self._stream, line, partial=False)
        if len(self._rest) > _READ_BYTES:
            self._log.write(self._stream, self._rest, partial=True)
            self._rest = b""
        self._log.flush()
        return True


def parse_line(line: bytes) -> tuple[bytes, bytes, bool]:
    """Time, text and whether the line goes on, of a line in CRI format."""
    at, _, rest = line.partition(b" ")
    _, _, rest = rest.partition(b" ")
    mark, _, text = rest.partition(b" ")
    return at, text, mark == b"P"


def read_lines(files: list[Path]) -> Iterator[bytes]:
    """All lines of the files, oldest first."""
    for path in files:
        with contextlib.suppress(OSError), path.open("rb") as file:
            for line in file:
                yield line.rstrip(b"\n")
