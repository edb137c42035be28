"""Keeps what containers print: CRI log format, rotated, never more than the limits.

A container's folder holds ``N.log`` for its N-th run, older parts of it as ``N.log.SEQUENCE``, and
the run before for ``previous``. Whatever is printed is read at once, so that no app waits for its
log; what comes faster than it may be kept is counted and dropped.

Source: kubernetes design-proposals, "CRI: Log management": ``TIME STREAM F|P TEXT``.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

_PIPE_BYTES = 256 * 2**10  #: what an app may print while we look elsewhere
_FLOOD_BYTES = _PIPE_BYTES // 2  #: read in one go, this much is a flood: it must not take
_PAUSE_S = 0.005  #: the event loop, so that the next look comes after a pause
_LINE_MAX_BYTES = 16 * 2**10  #: longer ones are kept in parts, as containerd does
_KEPT_BYTES_PER_S = 4 * 2**20  #: of one container, over time
_KEPT_BURST_BYTES = 16 * 2**20  #: and at once
_TAIL_BYTES = 8 * 2**10  #: kept in memory for the pod's status
_TAIL_LINES = 20
_LOOK_S = 0.1  #: between looks at a log that a runtime writes


class LogFiles:
    """What is on disk of one container."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def runs(self) -> list[int]:
        """The numbers of the runs that are kept, in order."""
        return sorted({number for number, _, _ in self._parts()})

    def parts(self, run: int) -> list[Path]:
        """The files of a run, oldest first."""
        return [path for number, _, path in sorted(self._parts()) if number == run]

    def _parts(self) -> list[tuple[int, float, Path]]:
        found = []
        for path in self._folder.glob("*.log*"):
            number, _, sequence = path.name.partition(".log")
            if number.isdigit():
                found.append((int(number), float(sequence[1:] or "inf"), path))
        return found


@dataclass(slots=True)
class _Budget:
    """How much may be kept: a bucket that fills with time."""

    at_s: float
    left: float = _KEPT_BURST_BYTES
    dropped: int = 0

    def take(self, size: int, now_s: float) -> bool:
        self.left = min(_KEPT_BURST_BYTES, self.left + (now_s - self.at_s) * _KEPT_BYTES_PER_S)
        self.at_s = now_s
        if self.left < size:
            return False
        self.left -= size
        return True


class RuntimeLog:
    """The log of one container, written by a container runtime in the same format."""

    def __init__(self, folder: Path) -> None:
        self.files = LogFiles(folder)
        self.open_run = -1  #: the run that is being written; -1 when there is none

    @property
    def grown(self) -> asyncio.Event:
        """Set a little later: nobody tells when a runtime has written."""
        event = asyncio.Event()
        asyncio.get_running_loop().call_later(_LOOK_S, event.set)
        return event


def tail_of(files: LogFiles, run: int) -> str:
    """The last lines of a run that has ended, as they were printed."""
    parts = files.parts(run)
    if not parts:
        return ""
    with parts[-1].open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        lines = file.read().splitlines()[-_TAIL_LINES:]
    texts = [line.split(b" ", 3)[3] for line in lines if line.count(b" ") >= 3]
    return b"\n".join(texts).decode(errors="replace")


class ContainerLog:
    """The log of one container over its runs. Belongs to one event loop."""

    def __init__(self, folder: Path, *, max_bytes: int, files_max: int) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.files = LogFiles(folder)
        self._folder = folder
        self._max_bytes = max_bytes
        self._files_max = files_max
        self._run = max(self.files.runs(), default=-1)
        self._fd = -1
        self._size = 0
        self._sequence = 0
        self._tail = b""
        self._budget = _Budget(asyncio.get_running_loop().time())
        self._pipes: set[_Pipe] = set()
        self.grown = asyncio.Event()  #: set, and replaced, whenever something happened

    @property
    def open_run(self) -> int:
        """The run that is being written; -1 when there is none."""
        return self._run if self._pipes else -1

    def start_run(self) -> tuple[int, int]:
        """Begin the next run; returns where it writes stdout and stderr, for the caller to close.

        Raises:
            OSError: there are no more file descriptors.
        """
        self.close()
        self._run += 1
        self._sequence = 0
        self._tail = b""
        for run in self.files.runs():
            if run < self._run - 1:
                self._remove(self.files.parts(run))
        self._open()
        out, err = self._pipe(b"stdout"), -1
        try:
            err = self._pipe(b"stderr")
        except OSError:
            os.close(out)
            raise
        return out, err

    def tail(self) -> str:
        """The last lines of the latest run."""
        for pipe in list(self._pipes):
            pipe.drain()
        lines = self._tail.decode(errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])

    def keep(self, stream: bytes, text: bytes, mark: bytes = b"F") -> None:
        """Keep whole lines, or with mark ``P`` a part of one, without the last newline."""
        self._tail = (self._tail + text + b"\n")[-_TAIL_BYTES:]
        head = b"%s %s %s " % (_now(), stream, mark)
        data = head + text.replace(b"\n", b"\n" + head) + b"\n"
        if not self._budget.take(len(data), asyncio.get_running_loop().time()):
            self._budget.dropped += len(text) + 1
            return
        if self._budget.dropped:
            said = b"hearth: %d bytes that were printed too fast are not kept"
            note = said % self._budget.dropped
            data = b"%s stderr F %s\n" % (_now(), note) + data
            self._budget.dropped = 0
        self._write(data)

    def ended(self, pipe: _Pipe) -> None:
        """One of the pipes has ended."""
        self._pipes.discard(pipe)
        if not self._pipes:
            self._close_file()
        self._tell()

    def close(self) -> None:
        """Let go of everything; the files stay."""
        for pipe in list(self._pipes):
            pipe.drain()
            pipe.close()
        self._close_file()

    def _pipe(self, stream: bytes) -> int:
        read, write = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(read, False)
        with contextlib.suppress(OSError):  # over the user's limit it stays as it is
            fcntl.fcntl(read, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._pipes.add(_Pipe(self, read, stream))
        return write

    def _write(self, data: bytes) -> None:
        if self._size and self._size + len(data) > self._max_bytes:
            self._rotate()
        with contextlib.suppress(OSError):  # a full disk must not end the pod
            self._size += os.write(self._fd, data)
        self._tell()

    def _tell(self) -> None:
        grown, self.grown = self.grown, asyncio.Event()
        grown.set()

    def _rotate(self) -> None:
        self._close_file()
        self._sequence += 1
        path = self._folder / f"{self._run}.log"
        with contextlib.suppress(OSError):
            path.rename(f"{path}.{self._sequence}")
        self._remove(self.files.parts(self._run)[: 1 - self._files_max])
        self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        with contextlib.suppress(OSError):
            self._fd = os.open(self._folder / f"{self._run}.log", flags, 0o600)
        self._size = 0

    def _close_file(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _remove(self, paths: list[Path]) -> None:
        for path in paths:
            with contextlib.suppress(OSError):
                path.unlink()


def _now() -> bytes:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode()


class _Pipe:
    """Reads one stream of a container as it comes."""

    def __init__(self, log: ContainerLog, fd: int, stream: bytes) -> None:
        self._log = log
        self._fd = fd
        self._stream = stream
        self._rest = b""
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._loop.add_reader(fd, self._readable)

    def drain(self) -> None:
        """Take what is there right now."""
        for _ in range(4):
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
            self._log.keep(self._stream, self._rest, b"P")
        self._log.ended(self)

    def _readable(self) -> None:
        if self._read() >= _FLOOD_BYTES and self._fd >= 0:
            self._loop.remove_reader(self._fd)
            self._pause = self._loop.call_later(_PAUSE_S, self._resume)

    def _resume(self) -> None:
        self._pause = None
        if self._fd >= 0:
            self._loop.add_reader(self._fd, self._readable)

    def _read(self) -> int:
        """Read once; returns how much there was."""
        try:
            data = os.read(self._fd, _PIPE_BYTES)
        except BlockingIOError:
            return 0
        if not data:
            self.close()
            return 0
        lines, newline, rest = data.rpartition(b"\n")
        if newline:
            lines, self._rest = self._rest + lines, rest
            self._log.keep(self._stream, lines)
        else:
            self._rest += data
        while len(self._rest) > _LINE_MAX_BYTES:
            part, self._rest = self._rest[:_LINE_MAX_BYTES], self._rest[_LINE_MAX_BYTES:]
            self._log.keep(self._stream, part, b"P")
        return len(data)


#: Finds what is kept of a container, by namespace, pod and container name.
Log: TypeAlias = ContainerLog | RuntimeLog | LogFiles
FindLog: TypeAlias = Callable[[str, str, str], Log | None]
