"""Keeps the log of requests: tells Envoy what to write, bounds what there is, and reads it back.

Envoy appends to ``requests.log``. When that is large it is renamed and Envoy opens a new one; the
oldest goes. Nothing here happens per request.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from hearth.api.config import read_observability
from hearth.api.kinds import CONFIG_MAP
from hearth.api.logs import Query
from hearth.api.names import KNATIVE_NAMESPACE
from hearth.gateway.core.request_log import Entry, filled
from hearth.gateway.observing import make_routers
from hearth.gateway.settings import GatewaySettings
from hearth.gateway.xds import EXTENSIONS, Resources
from hearth.runtime import Informers
from hearth.runtime.following import Followed

log = logging.getLogger(__name__)

_LOOK_S = 1.0  #: between looks at the file's size
_FOLLOW_S = 0.2  #: between looks whether there is more; as often as Envoy writes
_BLOCK_BYTES = 256 * 2**10
_ADMIN_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose lines are wanted, and which."""

    whose: bytes  #: as ``core.request_log.whose`` writes it
    since: bytes  #: RFC 3339: an instance's address may have been another's before
    values: Mapping[str, str]  #: what is filled in
    query: Query


class RequestLog:
    """The log of one gateway. Belongs to one event loop."""

    def __init__(
        self, informers: Informers, resources: Resources, settings: GatewaySettings
    ) -> None:
        config_maps = informers.of(CONFIG_MAP, namespace=KNATIVE_NAMESPACE, label_selector="")
        self._config = Followed(config_maps, "config-observability", read_observability)
        self._resources = resources
        self._path = settings.state / "requests.log"
        self._max_bytes = settings.request_log_max_bytes
        self._files_max = settings.request_log_files_max

    def follow(self) -> None:
        """Begin with what is asked for, and take every change from now on."""
        self._config.on_change(self._configure)
        self._configure()

    def _configure(self) -> None:
        config = self._config()
        if config.request_log and not self._path.exists():
            self._path.touch(mode=0o600)  # Envoy's own would be everybody's to read
        routers = make_routers(config.template if config.request_log else None, str(self._path))
        self._resources.remove(EXTENSIONS, self._resources.names(EXTENSIONS) - routers.keys())
        self._resources.put(EXTENSIONS, routers)

    async def run(self, admin: Path) -> None:
        """Keep it within its bounds until cancelled; ``admin`` is Envoy's own socket."""
        while True:
            await asyncio.sleep(_LOOK_S)
            with contextlib.suppress(FileNotFoundError):
                if self._path.stat().st_size > self._max_bytes:
                    await self._rotate(admin)

    async def _rotate(self, admin: Path) -> None:
        for number in range(self._files_max - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                self._part(number - 1).rename(self._part(number))
        self._path.touch(mode=0o600)
        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(admin))) as session,
                session.post(
                    "http://envoy/reopen_logs",
                    timeout=aiohttp.ClientTimeout(total=_ADMIN_TIMEOUT_S),
                ) as response,
            ):
                response.raise_for_status()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            log.warning("request log not reopened", extra={"f": {"because": str(error)}})

    def _part(self, number: int) -> Path:
        return self._path.with_name(f"requests.log.{number}") if number else self._path

    async def read(self, asked: Asked) -> AsyncIterator[bytes]:
        """The lines asked for, in blocks; with ``follow`` those to come, until cancelled."""
        left = asked.query.limit_bytes if asked.query.limit_bytes is not None else 2**62
        async for lines in self._lines(asked):
            text = b"".join(lines)
            if text:
                yield text[:left]
            left -= len(text)
            if left <= 0:
                return

    async def _lines(self, asked: Asked) -> AsyncIterator[list[bytes]]:
        """Those there are, or the last of them; then those to come."""
        tail = deque[bytes](maxlen=asked.query.tail_lines)
        going_on: list[_Open] = []
        async for lines in self._there(asked, going_on.append):
            if asked.query.tail_lines is None:
                yield lines
            else:
                tail.extend(lines)
        yield list(tail)
        current = going_on.pop() if going_on else None
        try:
            while asked.query.follow:
                await asyncio.sleep(_FOLLOW_S)
                if current is None or current.is_another(self._path):
                    if current is not None:
                        yield _selected(current.read_rest(), asked)
                        current.close()
                    current = _Open.of(self._path)
                if current is not None:
                    yield _selected(current.read_rest(), asked)
        finally:
            if current is not None:
                current.close()

    async def _there(
        self, asked: Asked, keep: Callable[[_Open], None]
    ) -> AsyncIterator[list[bytes]]:
        files = [_Open.of(self._part(number)) for number in range(self._files_max)]
        found = [file for file in reversed(files) if file is not None]  # before any is renamed
        try:
            for file in found:
                while block := file.read():
                    yield _selected(block, asked)
                    await asyncio.sleep(0)
        finally:
            for file in found[:-1]:
                file.close()
            if found:
                keep(found[-1])


class _Open:
    """A file that is read on from where the last look ended, in whole lines."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._rest = b""

    @classmethod
    def of(cls, path: Path) -> _Open | None:
        """The file, if it is there."""
        try:
            return cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except FileNotFoundError:
            return None

    def read(self) -> bytes:
        """Whole lines of the next block; empty at the end."""
        while data := os.read(self._fd, _BLOCK_BYTES):
            lines, newline, rest = (self._rest + data).rpartition(b"\n")
            self._rest = rest
            if newline:
                return lines + newline
        return b""

    def read_rest(self) -> bytes:
        """Whole lines up to the end."""
        return b"".join(iter(self.read, b""))

    def is_another(self, path: Path) -> bool:
        """Whether the path is another file's now."""
        try:
            return path.stat().st_ino != os.fstat(self._fd).st_ino
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Let go of it."""
        os.close(self._fd)


def _selected(block: bytes, asked: Asked) -> list[bytes]:
    """The lines of a block that are asked for, as they are shown."""
    if asked.whose not in block:  # by far the most, and quick to see
        return []
    found = []
    for line in block.splitlines():
        entry = Entry.of(line) if asked.whose in line else None
        if entry is not None and entry.whose == asked.whose and entry.at >= asked.since:
            text = filled(entry.text, asked.values) + b"\n"
            found.append(entry.at + b" " + text if asked.query.timestamps else text)
    return found
