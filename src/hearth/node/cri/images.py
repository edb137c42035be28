"""Brings images to the node: present, loaded or pulled with the pod's credentials."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

from hearth.api.images import Credential, Image, credentials_for
from hearth.api.meta import Wire, namespace_of, spec_of
from hearth.client import Client
from hearth.node.cri import api_pb2 as pb
from hearth.node.cri.client import Cri, CriError
from hearth.runtime import EventRecorder
from hearth.runtime.pullsecrets import pull_secrets

PULL_S = 600.0  #: a pull that takes longer has failed


class ImageFault(Exception):
    """An image cannot be had now; reason and message are kubelet's."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Images:
    """The images of one node. Belongs to one event loop."""

    def __init__(self, client: Client, cri: Cri, events: EventRecorder) -> None:
        self._client = client
        self._cri = cri
        self._events = events
        self._pulls: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def ensure(self, pod: Wire, container: Wire) -> Any:
        """The ``runtime.v1.Image`` that the container runs, pulled if its policy says so.

        Raises:
            ImageFault: it is not here and cannot be pulled.
        """
        name = str(container.get("image") or "")
        try:
            image = Image.parse(name)
        except ValueError as error:
            said = f'Failed to apply default image tag "{name}": {error}'
            raise ImageFault("InvalidImageName", said) from error
        policy = container.get("imagePullPolicy") or ""
        async with self._pulls[str(image)]:
            present = await self.find(str(image))
            if present is not None and policy != "Always":
                return present
            if policy == "Never":
                said = f'Container image "{name}" is not present with pull policy of Never'
                raise ImageFault("ErrImageNeverPull", said)
            await self._pull(pod, image, name)
            present = await self.find(str(image))
        if present is None:
            raise ImageFault("ErrImagePull", f'image "{name}" is gone since it was pulled')
        return present

    async def find(self, name: str) -> Any | None:
        """The image of that name, if it is here."""
        request = pb.ImageStatusRequest(image=pb.ImageSpec(image=name))
        answer = await self._cri.call("ImageStatus", request)
        return answer.image if answer.HasField("image") else None

    async def all(self) -> list[Any]:
        """All images that are here."""
        return list((await self._cri.call("ListImages", pb.ListImagesRequest())).images)

    async def _pull(self, pod: Wire, image: Image, name: str) -> None:
        self._events.record(pod, "Normal", "Pulling", f'Pulling image "{name}"')
        credentials = credentials_for(image, await self._secrets(pod)) or [Credential()]
        fault: CriError | None = None
        for credential in credentials:
            request = pb.PullImageRequest(image=pb.ImageSpec(image=str(image)))
            if credential != Credential():
                request.auth.CopyFrom(_auth(credential))
            try:
                await self._cri.call("PullImage", request, timeout_s=PULL_S)
            except CriError as error:
                fault = error
            else:
                self._events.record(pod, "Normal", "Pulled", f'Successfully pulled image "{name}"')
                return
        said = f'Failed to pull image "{name}": {fault}'
        self._events.record(pod, "Warning", "Failed", said)
        raise ImageFault("ErrImagePull", str(fault)) from fault

    async def _secrets(self, pod: Wire) -> list[Wire]:
        """The pull secrets of the pod and of its service account that exist."""
        found, missing = await pull_secrets(self._client, namespace_of(pod), spec_of(pod))
        for name in missing:
            said = f'Unable to retrieve image pull secret "{name}": not found'
            self._events.record(pod, "Warning", "FailedToRetrieveImagePullSecret", said)
        return found


def _auth(credential: Credential) -> Any:
    """For the image's own registry: containerd would take the address only as a URL."""
    return pb.AuthConfig(
        username=credential.username,
        password=credential.password,
        identity_token=credential.identity_token,
        registry_token=credential.registry_token,
    )
