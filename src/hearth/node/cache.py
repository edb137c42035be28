"""Packages on this node, by digest: fetched once, shared by all pods."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from hearth.api.errors import ApiError
from hearth.client import Client
from hearth.client.client import read_all
from hearth.client.patience import patiently
from hearth.loader.packages import (
    CodeError,
    cache_name,
    check_digest,
    install,
    local_directory,
    obtain,
)
from hearth.loader.protocol import Package

_STORE_URL = re.compile(
    r"hearth:///namespaces/(?P<namespace>[a-z0-9-]+)/packages/(?P<digest>sha256:[0-9a-f]{64})$"
)


class PackageCache:
    """Gives pods the folders of their packages. Belongs to one event loop."""

    def __init__(
        self, client: Client, folder: Path, max_bytes: int, in_use: Callable[[], set[str]]
    ) -> None:
        """Keep packages below ``folder``.

        Args:
            client: reads the platform's own code store.
            folder: survives restarts.
            max_bytes: above this the packages used longest ago go.
            in_use: cache names that must stay.
        """
        self._client = client
        self._folder = folder
        self._max_bytes = max_bytes
        self._in_use = in_use
        self._fetching: dict[str, asyncio.Task[Path]] = {}
        self._evicting = asyncio.Lock()  #: two at once would fall over each other
        for abandoned in folder.glob(".new-*"):
            shutil.rmtree(abandoned, ignore_errors=True)

    def cached(self, package: Package) -> Path | None:
        """The package's folder if it needs no fetching.

        Raises:
            CodeError: a ``file:`` URL names nothing, or the digest is none.
        """
        if (directory := local_directory(package)) is not None:
            return directory.resolve()
        check_digest(package)
        path = self._folder / cache_name(package)
        try:
            os.utime(path)  # used now: the last to go
        except FileNotFoundError:
            return None
        return path

    async def get(self, package: Package) -> Path:
        """The package's folder; single-flight.

        Raises:
            CodeError: it cannot be had or must not be used.
        """
        if (path := self.cached(package)) is not None:
            return path
        name = cache_name(package)
        task = self._fetching.get(name)
        if task is None:
            task = asyncio.create_task(self._fetch(package), name=f"fetch {name}")
            self._fetching[name] = task
            task.add_done_callback(lambda done: self._fetching.pop(name, None))
        return await asyncio.shield(task)

    async def _fetch(self, package: Package) -> Path:
        if package.url.startswith("hearth:"):
            content = await self._from_store(package)
            path = await asyncio.to_thread(install, package, content, self._folder)
        else:
            path = await asyncio.to_thread(obtain, package, self._folder)
        async with self._evicting:
            await asyncio.to_thread(self._evict, {*self._fetching, *self._in_use()})
        return path.resolve()

    async def _from_store(self, package: Package) -> bytes:
        found = _STORE_URL.match(package.url)
        if not found:
            said = "expected hearth:///namespaces/NAMESPACE/packages/sha256:DIGEST"
            raise CodeError("CodeInvalid", f"package {package.url[:200]}: {said}")
        path = (
            f"/apis/hearth.dev/v1alpha1/namespaces/{found['namespace']}/packages/{found['digest']}"
        )
        try:
            return await patiently(lambda: self._read(path))
        except (ApiError, ConnectionError) as error:
            raise CodeError("CodeUnavailable", f"package {package.url}: {error}") from error

    async def _read(self, path: str) -> bytes:
        return await read_all(await self._client.raw("GET", path))

    def _evict(self, keep: set[str]) -> None:
        packages = [p for p in self._folder.glob("[!.]*") if p.is_dir()]
        packages.sort(key=lambda p: p.stat().st_mtime)
        sizes = {p: _size(p) for p in packages}
        total = sum(sizes.values())
        for package in packages:
            if total <= self._max_bytes:
                return
            if package.name not in keep:
                shutil.rmtree(package, ignore_errors=True)
                total -= sizes[package]


def _size(package: Path) -> int:
    return sum(file.stat().st_size for file in package.rglob("*") if file.is_file())
