"""Reads logs in the words of the kubelet's API, a block at a time.

Source: k8s.io/api/core/v1 PodLogOptions.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from hearth.api.logs import Query
from hearth.node.logs import Log, LogFiles

_BLOCK_BYTES = 64 * 2**10
_STAMP_BYTES = len("2026-01-01T00:00:00")


class NoLog(Exception):
    """There is no such log; the message says what is missing."""


def run_of(files: LogFiles, query: Query) -> int:
    """The number of the run that is asked for.

    Raises:
        NoLog: there is none.
    """
    runs = files.runs()
    if not runs:
        raise NoLog("the container is waiting to start")
    if not query.previous:
        return runs[-1]
    if len(runs) < 2:
        raise NoLog("previous terminated container not found")
    return runs[-2]


async def read_log(log: Log, run: int, query: Query, now: datetime) -> AsyncIterator[bytes]:
    """The text asked for, in blocks; follows until the run has ended."""
    left = query.limit_bytes if query.limit_bytes is not None else 2**62
    since = _since(query, now)
    async for lines in _blocks(log, run, query):
        text = b"".join([_shown(line, query) for line in lines if line[:_STAMP_BYTES] >= since])
        if text:
            yield text[:left]
        left -= len(text)
        if left <= 0:
            return


async def _blocks(log: Log, run: int, query: Query) -> AsyncIterator[list[bytes]]:
    files = log if isinstance(log, LogFiles) else log.files
    parts = files.parts(run)
    index, offset = _tail_start(parts, query.tail_lines)
    for part in parts[index:-1]:
        with _opened(part, offset) as fd:
            async for lines in _lines(fd):
                yield lines
        offset = 0
    if not parts[index:]:
        return
    path, fd = parts[-1], os.open(parts[-1], os.O_RDONLY)
    try:
        os.lseek(fd, offset, os.SEEK_SET)
        while True:
            grown, going_on = _growth(log, run)
            async for lines in _lines(fd):
                yield lines
            if _is_another_file(path, fd):
                with contextlib.suppress(FileNotFoundError):
                    following = os.open(path, os.O_RDONLY)
                    os.close(fd)
                    fd = following
                    continue
            if not query.follow or not going_on:
                return
            await grown.wait()
    finally:
        os.close(fd)


def _growth(log: Log, run: int) -> tuple[asyncio.Event, bool]:
    """What is set when more may be there, and whether more may come."""
    if isinstance(log, LogFiles):
        return asyncio.Event(), False
    return log.grown, log.open_run == run


def _is_another_file(path: Path, fd: int) -> bool:
    """Whether the log has been rotated since."""
    try:
        return path.stat().st_ino != os.fstat(fd).st_ino
    except OSError:
        return False


@contextlib.contextmanager
def _opened(path: Path, offset: int) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.lseek(fd, offset, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


async def _lines(fd: int) -> AsyncIterator[list[bytes]]:
    """The lines from here on, in blocks; lets others run between them."""
    rest = b""
    while block := os.read(fd, _BLOCK_BYTES):
        *lines, rest = (rest + block).split(b"\n")
        yield lines
        await asyncio.sleep(0)
    if rest:
        os.lseek(fd, -len(rest), os.SEEK_CUR)  # it is being written


def _tail_start(parts: list[Path], lines: int | None) -> tuple[int, int]:
    """Index of the file and offset in it from which on there are ``lines`` lines."""
    if lines is None:
        return 0, 0
    wanted = lines
    for index in range(len(parts) - 1, -1, -1):
        found, offset = _tail_offset(parts[index], wanted)
        if found == wanted:
            return index, offset
        wanted -= found
    return 0, 0


def _tail_offset(path: Path, wanted: int) -> tuple[int, int]:
    """How many of the wanted last lines the file has, and where the first of them begins."""
    with path.open("rb") as file:
        at = file.seek(0, os.SEEK_END)
        found = -1  # the last line's own end does not count
        while at > 0:
            size = min(_BLOCK_BYTES, at)
            at = file.seek(at - size)
            block = file.read(size)
            if found + block.count(b"\n") < wanted:
                found += block.count(b"\n")
                continue
            for _ in range(wanted - found):
                size = block.rindex(b"\n", 0, size)
            return wanted, at + size + 1
    return found + 1, 0


def _since(query: Query, now: datetime) -> bytes:
    if query.since_s is None:
        return b""
    return (now - timedelta(seconds=query.since_s)).strftime("%Y-%m-%dT%H:%M:%S").encode()


def _shown(line: bytes, query: Query) -> bytes:
    """The line as it was printed, a part of one without its end."""
    at, _, rest = line.partition(b" ")
    _, _, rest = rest.partition(b" ")
    mark, _, text = rest.partition(b" ")
    end = b"" if mark == b"P" else b"\n"
    return at + b" " + text + end if query.timestamps else text + end
