"""A node with a pod that has a volume in memory, until killed; prints ``ready`` once it runs."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.system.node_rig import node

APP = "def handle(request):\n    return 'here'\n"


async def main(folder: Path) -> None:
    """Serve until killed."""
    async with node(folder, "on") as rig:
        mounts = [{"name": "v", "mountPath": "/hearth-test"}]
        volumes = [{"name": "v", "emptyDir": {"medium": "Memory"}}]
        code = rig.source("app", app__py=APP)
        await rig.create("one", code, container={"volumeMounts": mounts}, volumes=volumes)
        await rig.ready("one")
        print("ready", flush=True)
        await asyncio.Event().wait()


asyncio.run(main(Path(sys.argv[1])))
