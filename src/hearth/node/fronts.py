"""TLS in front of a node's pods, while ``system-internal-tls`` is enabled.

What ends it is a process of the node's own that is there only then. A pod keeps its front until it
ends, also where TLS is disabled meanwhile: what is under way through it goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hearth.api.config import read_network
from hearth.api.inside import SERVING_CERTS, TLS_PORT, Front, Terminator, name_of_instances
from hearth.api.kinds import CONFIG_MAP, SECRET
from hearth.api.names import KNATIVE_NAMESPACE
from hearth.api.tls import pair_of
from hearth.kit.tasks import TaskGroup
from hearth.kit.x509 import read_pair
from hearth.node.core.fronts import (
    ANSWERS,
    NO_CERTIFICATE,
    NO_NETWORK,
    NOT_LISTENING,
    Standing,
)
from hearth.runtime import Change, Informers
from hearth.runtime.following import Followed

log = logging.getLogger(__name__)

_LOOK_S = 0.002  #: between looks whether it listens, longer each time, up to
_LOOK_MAX_S = 0.5


@dataclass(slots=True)
class _Wanted:
    """A pod that is to have a front, and who is told when its standing may have changed."""

    front: Front
    on_change: Callable[[], None]
    given: bool = False  #: the terminator has it
    listens: bool = False


class Fronts:
    """The fronts of a node's pods. Belongs to one event loop."""

    def __init__(
        self,
        informers: Informers,
        make: Callable[[], Terminator],
        listens: Callable[[str], Awaitable[bool]] | None = None,
    ) -> None:
        """Prepare.

        Args:
            informers: of the process.
            make: makes the terminator when it is needed first.
            listens: whether somebody listens at an IP's port for TLS.
        """
        self._listens = listens or _listens
        config_maps = informers.of(CONFIG_MAP, namespace=KNATIVE_NAMESPACE, label_selector="")
        self._network = Followed(config_maps, "config-network", read_network)
        self._secrets = informers.of(
            SECRET, label_selector="", field_selector=f"metadata.name={SERVING_CERTS}"
        )
        self._make = make
        self._made: Terminator | None = None
        self._wanted: dict[str, _Wanted] = {}
        self._certified: set[str] = set()  #: namespaces
        self._changed = asyncio.Event()
        self._tasks = TaskGroup()
        self._network.on_change(self._switched)

    async def run(self) -> None:
        """Keep the terminator while there are fronts or TLS is enabled, until cancelled."""
        self._secrets.on_change(self._secret_changed)
        try:
            while True:
                await self._until(needed=True)
                running = asyncio.create_task(self._terminator.run(), name="terminator")
                idle = asyncio.create_task(self._until(needed=False), name="terminator is needed")
                try:
                    await asyncio.wait([running, idle], return_when=asyncio.FIRST_COMPLETED)
                    if running.done():
                        running.result()
                finally:
                    for task in (running, idle):
                        task.cancel()
                        with contextlib.suppress(asyncio.CancelledError):
                            await task
        finally:
            await self._tasks.close()

    def want(self, front: Front, on_change: Callable[[], None]) -> None:
        """The pod is to have this front, now or once TLS is enabled."""
        self._wanted[front.pod] = _Wanted(front, on_change)
        self._refresh()

    def forget(self, pod: str) -> None:
        """The pod has ended."""
        wanted = self._wanted.pop(pod, None)
        if wanted is not None and wanted.given:
            self._terminator.remove(pod)
            self._changed.set()

    def standing_of(self, pod: str) -> Standing | None:
        """Whether TLS is answered for the pod; None when it is not asked for."""
        wanted = self._wanted.get(pod)
        if wanted is None:
            return None
        if wanted.listens:
            return ANSWERS
        if not self._enabled:
            return None
        if not wanted.front.network:
            return NO_NETWORK
        return NOT_LISTENING if wanted.given else NO_CERTIFICATE

    @property
    def _enabled(self) -> bool:
        return self._network().system_internal_tls

    @property
    def _terminator(self) -> Terminator:
        if self._made is None:
            self._made = self._make()
        return self._made

    async def _until(self, *, needed: bool) -> None:
        while (self._enabled or any(one.given for one in self._wanted.values())) != needed:
            await self._changed.wait()
            self._changed.clear()

    def _switched(self) -> None:
        """TLS is enabled or disabled."""
        self._refresh()
        for wanted in self._wanted.values():
            wanted.on_change()

    def _refresh(self) -> None:
        """Give the terminator what it does not have and is to have."""
        self._changed.set()
        if not self._enabled:
            return
        for pod, wanted in self._wanted.items():
            if wanted.given or not wanted.front.network:
                continue
            if wanted.front.namespace not in self._certified:
                continue
            wanted.given = True
            self._terminator.put(wanted.front)
            self._tasks.start(self._look(pod, wanted), name=f"front of {pod}")

    async def _look(self, pod: str, wanted: _Wanted) -> None:
        """Note once it listens."""
        pause_s = _LOOK_S
        while self._wanted.get(pod) is wanted:
            if await self._listens(wanted.front.ip):
                wanted.listens = True
                wanted.on_change()
                return
            await asyncio.sleep(pause_s)
            pause_s = min(_LOOK_MAX_S, pause_s * 1.5)

    def _secret_changed(self, change: Change) -> None:
        """A namespace has another certificate; what cannot be used never replaces what is."""
        if change.new is None:
            return
        namespace = change.key.namespace
        try:
            pair = pair_of(change.new)
            usable = read_pair(pair).covers(name_of_instances(namespace))
        except ValueError as error:
            facts = {"namespace": namespace, "because": str(error)}
            log.warning("certificate of instances cannot be used", extra={"f": facts})
            return
        if usable:
            self._terminator.certify(namespace, pair)
            self._certified.add(namespace)
            self._refresh()


async def _listens(ip: str) -> bool:
    try:
        async with asyncio.timeout(1):
            _, writer = await asyncio.open_connection(ip, TLS_PORT)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
