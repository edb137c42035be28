"""Finds out once which digests a revision's tags have, before it has a pod.

The registry is asked with the revision's credentials. Where it cannot tell, what the nodes have
under that name counts (``hearth image load``); where they have nothing either, the tag stays, and
the pod says what is wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from hearth.api.config import DeploymentConfig
from hearth.api.errors import ApiError
from hearth.api.images import Credential, Image, credentials_for
from hearth.api.meta import ObjectKey, Wire, namespace_of, spec_of, uid_of
from hearth.client import Client
from hearth.controllers.revision.core.images import (
    Resolution,
    Resolved,
    Resolving,
    Unresolvable,
    digest_on_nodes,
    is_resolved,
    tags_of,
)
from hearth.controllers.revision.registry import RegistryAway, RegistryRefused, digest_of
from hearth.kit.backoff import backoff_s
from hearth.kit.tasks import TaskGroup
from hearth.runtime import Informer
from hearth.runtime.pullsecrets import pull_secrets

_AGAIN_MAX_S = 30.0
_PRESENT_TIMEOUT_S = 1.0  #: for a registry whose image a node has already


#: Asks for an image's digest with credentials, for so many seconds; see ``registry.digest_of``.
AskRegistry: TypeAlias = Callable[[Image, Sequence[Credential], float], Awaitable[str]]


@dataclass(slots=True)
class _Asked:
    """What is known of one revision."""

    uid: str
    answer: Resolution = field(default_factory=Resolving)
    failures: int = 0
    task: asyncio.Task[None] | None = None


class Digests:
    """Resolves revisions' tags, each beside the reconcilers. Belongs to one event loop."""

    def __init__(
        self,
        client: Client,
        nodes: Informer,
        config: Callable[[], DeploymentConfig],
        ask: AskRegistry = digest_of,
    ) -> None:
        self._client = client
        self._ask = ask
        self._nodes = nodes
        self._config = config
        self._asked: dict[ObjectKey, _Asked] = {}
        self._tasks = TaskGroup()
        #: told of a revision of which more is known
        self.on_news: Callable[[ObjectKey], None] = lambda key: None

    def of(self, key: ObjectKey, revision: Wire) -> Resolution:
        """What is known; begins to find out if it is nothing."""
        skipped = self._config().unresolved_registries
        tags = {} if is_resolved(revision) else tags_of(revision, skipped)
        if not tags:
            self.forget(key)
            return Resolved({})
        asked = self._asked.get(key)
        if asked is None or asked.uid != uid_of(revision):
            self.forget(key)
            asked = self._asked[key] = _Asked(uid_of(revision))
        if asked.task is None and not isinstance(asked.answer, Resolved):
            finding = self._find(key, asked, revision, tags)
            asked.task = self._tasks.start(finding, name=f"digests {key}")
        return asked.answer

    def forget(self, key: ObjectKey) -> None:
        """Nothing more is to be found out about the revision."""
        asked = self._asked.pop(key, None)
        if asked is not None and asked.task is not None:
            asked.task.cancel()

    async def run(self) -> None:
        """Own what is being asked, until cancelled."""
        try:
            await asyncio.Event().wait()
        finally:
            await self._tasks.close()

    async def _find(
        self, key: ObjectKey, asked: _Asked, revision: Wire, tags: dict[str, str]
    ) -> None:
        if asked.failures:
            await asyncio.sleep(backoff_s(asked.failures, base_s=1, max_s=_AGAIN_MAX_S))
        try:
            asked.answer = Resolved(await self._digests(revision, tags))
        except RegistryRefused as error:
            asked.failures += 1
            asked.answer = Unresolvable(str(error))
        finally:
            asked.task = None
        self.on_news(key)

    async def _digests(self, revision: Wire, tags: dict[str, str]) -> dict[str, str]:
        """By the tag's text; those that cannot be told are not in it."""
        try:
            secrets, _ = await pull_secrets(self._client, namespace_of(revision), spec_of(revision))
        except (ApiError, ConnectionError):
            secrets = []
        found = {}
        for text, policy in tags.items():
            if digest := await self._digest(text, policy, secrets):
                found[text] = digest
        return found

    async def _digest(self, text: str, policy: str, secrets: list[Wire]) -> str:
        image = Image.parse(text)
        here = "" if policy == "Always" else digest_on_nodes(image, self._nodes.list())
        timeout_s = self._config().digest_timeout_s
        if here:
            timeout_s = min(timeout_s, _PRESENT_TIMEOUT_S)
        try:
            digest = await self._ask(image, credentials_for(image, secrets), timeout_s)
        except RegistryAway:
            return here
        except RegistryRefused as error:
            if here:
                return here
            said = f'Unable to fetch image "{text}": failed to resolve image to digest: {error}'
            raise RegistryRefused(said) from error
        return f"{image.name}@{digest}"
