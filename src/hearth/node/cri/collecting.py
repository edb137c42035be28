"""Removes images that nobody uses when the node's disk fills up.

Images that were loaded from an archive stay: no registry has them.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable

from hearth.node.core.image_gc import Stored, bytes_to_free, to_remove
from hearth.node.cri import api_pb2 as pb
from hearth.node.cri.client import Cri, CriError
from hearth.node.cri.containerd import NoContainerRuntime
from hearth.node.settings import NodeSettings

log = logging.getLogger(__name__)


class ImageCollector:
    """Belongs to one event loop."""

    def __init__(
        self, cri: Cri, settings: NodeSettings, loaded: Callable[[], Awaitable[set[str]]]
    ) -> None:
        """Collect ``cri``'s images but those that ``loaded`` names."""
        self._cri = cri
        self._settings = settings
        self._loaded = loaded
        self._seen: dict[str, Stored] = {}
        self._names: dict[str, list[str]] = {}

    async def run(self) -> None:
        """Look every so often, until cancelled."""
        while True:
            await asyncio.sleep(self._settings.images_every_s)
            try:
                await self.collect()
            except (CriError, NoContainerRuntime) as error:
                log.warning("images not collected", extra={"f": {"because": str(error)}})

    async def collect(self) -> None:
        """Note what is used; remove what must go.

        Raises:
            CriError: the runtime does not tell.
            NoContainerRuntime: likewise, of what was loaded.
        """
        now_s = asyncio.get_running_loop().time()
        used = await self._note(now_s)
        settings, disk = self._settings, os.statvfs(self._settings.state)
        wanted = bytes_to_free(
            disk.f_blocks * disk.f_frsize,
            disk.f_bavail * disk.f_frsize,
            high_share=settings.images_high_share,
            low_share=settings.images_low_share,
        )
        if not wanted:
            return
        loaded = await self._loaded()
        unused = [
            image
            for image in self._seen.values()
            if image.id not in used and loaded.isdisjoint(self._names[image.id])
        ]
        for image_id in to_remove(unused, wanted, now_s):
            request = pb.RemoveImageRequest(image=pb.ImageSpec(image=image_id))
            await self._cri.call("RemoveImage", request)
            size = self._seen.pop(image_id).size_bytes
            log.info("image removed", extra={"f": {"image": image_id, "bytes": size}})

    async def _note(self, now_s: float) -> set[str]:
        """Remember when each image came and was last used; returns those in use."""
        containers = await self._cri.call("ListContainers", pb.ListContainersRequest())
        used = {container.image_ref for container in containers.containers}
        images = (await self._cri.call("ListImages", pb.ListImagesRequest())).images
        self._names = {image.id: list(image.repo_tags) for image in images}
        seen = {}
        for image in images:
            was = self._seen.get(image.id)
            last = now_s if image.id in used else was.last_used_s if was else 0.0
            first = was.first_seen_s if was else now_s
            seen[image.id] = Stored(image.id, image.size, first, last)
        self._seen = seen
        return used
