"""What all container pods of a node share: containerd, started by the first that needs it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from hearth.api.errors import NotFound
from hearth.api.kinds import RUNTIME_CLASS
from hearth.api.meta import Wire
from hearth.kit.tasks import TaskGroup
from hearth.node.core.dns import Resolving, resolving_of
from hearth.node.cri import pause
from hearth.node.cri.client import Cri, CriError
from hearth.node.cri.collecting import ImageCollector
from hearth.node.cri.containerd import (
    Containerd,
    NoContainerRuntime,
    installed_handlers,
    lacks_of,
)
from hearth.node.cri.images import Images
from hearth.node.imageserver import ImagesRefused
from hearth.node.worker import Machinery

__all__ = ["ContainerRuntime", "NoContainerRuntime", "NoSuchHandler", "Opened"]


class NoSuchHandler(Exception):
    """A pod names a RuntimeClass that cannot be had here; the message says why."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A running containerd."""

    cri: Cri
    images: Images
    socket: Path


class ContainerRuntime:
    """Belongs to one event loop."""

    def __init__(self, shared: Machinery) -> None:
        """Prepare it; nothing is started yet. ``shared`` is what all pods of the node share."""
        self.client = shared.client
        self.settings = shared.settings
        self.events = shared.events
        self.volumes = shared.volumes
        self.cgroups = shared.cgroups
        self.probe_log = shared.probe_log
        self.fronts = shared.fronts
        self._network = shared.network.for_containers if shared.network is not None else None
        self._containerd: Containerd | None = None
        self._opened: Opened | None = None
        self._lock = asyncio.Lock()
        self._tasks = TaskGroup()

    @property
    def was_used(self) -> bool:
        """Whether containers ran here before: their images are still there."""
        return (self.settings.state / "containerd").exists()

    async def open(self) -> Opened:
        """Start containerd, unless it runs.

        Raises:
            NoContainerRuntime: this node cannot run containers; the message says why.
        """
        async with self._lock:
            if self._opened is None:
                if self._network is None:
                    raise NoContainerRuntime("pods have no network of their own (netns is off)")
                containerd = Containerd(self.settings.state, self._network)
                cri = await containerd.start()
                self._containerd = containerd
                self._tasks.start(cri.watch_exits(), name="containers that end")
                collector = ImageCollector(cri, self.settings, containerd.loaded)
                self._tasks.start(collector.run(), name="images that go")
                self._opened = Opened(cri, Images(self.client, cri, self.events), containerd.socket)
            return self._opened

    def resolving_of(self, pod: Wire) -> Resolving | None:
        """How the pod resolves names; None: as this machine does."""
        return resolving_of(pod, self._network.gateway) if self._network is not None else None

    async def handler_of(self, runtime_class: str) -> str:
        """The handler of a RuntimeClass; empty for the default one.

        Raises:
            NoSuchHandler: there is no such class, or this node does not have its handler.
        """
        if not runtime_class:
            return ""
        try:
            found = await self.client.get(RUNTIME_CLASS, "", runtime_class)
        except NotFound as error:
            raise NoSuchHandler(f'RuntimeClass "{runtime_class}" not found') from error
        handler, here = str(found.get("handler") or ""), installed_handlers()
        if handler not in here:
            said = f'RuntimeClass "{runtime_class}": handler "{handler}" is not installed on node'
            has = "; ".join(filter(None, (f"which has {', '.join(here)}", lacks_of(handler))))
            raise NoSuchHandler(f"{said} {self.settings.name}, {has}")
        return handler

    async def load(self, archive: Path) -> list[str]:
        """Load the images of an archive; returns their names.

        Raises:
            ImagesRefused: this node cannot have images, or the archive holds none.
        """
        try:
            await self.open()
        except NoContainerRuntime as error:
            raise ImagesRefused(503, f"it has no container runtime: {error}") from error
        assert self._containerd is not None
        try:
            return await self._containerd.load(archive)
        except NoContainerRuntime as error:
            raise ImagesRefused(400, str(error)) from error

    async def images(self) -> list[Wire]:
        """The images that are here, as a Node's status lists them.

        Raises:
            ImagesRefused: they cannot be told.
        """
        if self._opened is None and not self.was_used:
            return []
        try:
            found = await (await self.open()).images.all()
        except (CriError, NoContainerRuntime) as error:
            raise ImagesRefused(503, str(error)) from error
        listed: list[Wire] = [
            {"names": [*image.repo_digests, *image.repo_tags], "sizeBytes": image.size}
            for image in found
            if pause.IMAGE not in image.repo_tags
        ]
        return sorted(listed, key=lambda image: str(image["names"]))

    async def close(self) -> None:
        """End containerd; its pods must be gone."""
        await self._tasks.close()
        if self._opened is not None:
            await self._opened.cri.close()
        if self._containerd is not None:
            await self._containerd.stop()
