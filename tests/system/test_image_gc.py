"""A node whose disk is full removes images that nobody uses, and no others."""

from __future__ import annotations

import asyncio
import os

import pytest

from hearth.api.kinds import POD, SECRET
from hearth.node.core import image_gc
from tests.system.boxes import IMAGE, box, needs_containers
from tests.system.node_rig import eventually, node
from tests.system.registry import needs_registry, registry

pytestmark = [
    needs_containers,
    needs_registry,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
]


def test_images_that_nobody_uses_go_and_loaded_ones_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(image_gc, "AGE_MIN_S", 0.5)

    async def story():
        full = {"images_high_share": 0.0, "images_low_share": 0.0, "images_every_s": 0.2}
        async with node(tmp_path, "on", **full) as rig:
            (tmp_path / "box.tar").write_bytes(box())
            await rig.agent._container_runtime().load(tmp_path / "box.tar")
            await rig.client.create(SECRET, private.secret("pull"))
            for name in ("goes", "stays"):
                container = {"image": f"{private.host}/{name}/box:1"}
                pull = [{"name": "pull"}]
                await rig.create(name, "x", container=container, imagePullSecrets=pull)
            await rig.ready("goes")
            await rig.ready("stays")
            await rig.client.delete(POD, "default", "goes", grace_period_s=0)

            async def names():
                images = await rig.agent._container_runtime().images()
                return {name for image in images for name in image["names"] if "@" not in name}

            async def is_gone():
                found = await names()
                return f"{private.host}/goes/box:1" not in found and found

            left = await eventually(is_gone, "the unused image is gone")
            await asyncio.sleep(1)
            assert left == await names() == {IMAGE, f"{private.host}/stays/box:1"}

    with registry(tmp_path / "registry") as private:
        for name in ("goes", "stays"):
            private.push(f"{name}/box:1", box(f"{name}\n".encode()))
        asyncio.run(story())
