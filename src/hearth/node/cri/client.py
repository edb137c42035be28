"""Speaks CRI to a container runtime over its socket.

Source: k8s.io/cri-api v1 (``api_pb2`` is made by tools/cri_api.py).
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message_factory import GetMessageClass

from hearth.node.cri import api_pb2

_OPTIONS = [("grpc.max_receive_message_length", 16 * 2**20), ("grpc.use_local_subchannel_pool", 1)]
_EVENTS = "/containerd.services.events.v1.Events/Subscribe"
CALL_S = 120.0  #: a call that takes longer has failed (kubelet's runtimeRequestTimeout)
_RELIST_S = 1.0  #: between looks for containers that ended, should events fail
_LAG_S = 0.03  #: from containerd's event to when its CRI part knows


class CriError(Exception):
    """The runtime refused; ``code`` is gRPC's name of it, such as ``NOT_FOUND``."""

    def __init__(self, code: str, details: str) -> None:
        camel = "".join(word.capitalize() for word in code.split("_"))
        super().__init__(f"rpc error: code = {camel} desc = {details}")
        self.code = code
        self.details = details


class Cri:
    """A runtime. Belongs to one event loop."""

    def __init__(self, socket: Path) -> None:
        self._channel = grpc.aio.insecure_channel(f"unix:{socket}", options=_OPTIONS)
        self._exits: dict[str, asyncio.Future[Any]] = {}
        self._happened = asyncio.Event()

    async def call(self, method: str, request: Any, timeout_s: float = CALL_S) -> Any:
        """Call a method of RuntimeService or ImageService and return its answer.

        Raises:
            CriError: it failed, or the runtime is not there (code ``UNAVAILABLE``).
        """
        services = api_pb2.DESCRIPTOR.services_by_name
        for service in services.values():
            if found := service.methods_by_name.get(method):
                ask = self._channel.unary_unary(
                    f"/{service.full_name}/{method}",
                    request_serializer=type(request).SerializeToString,
                    response_deserializer=GetMessageClass(found.output_type).FromString,
                )
                try:
                    return await ask(request, timeout=timeout_s)
                except grpc.aio.AioRpcError as error:
                    raise CriError(error.code().name, error.details() or "") from error
        raise AssertionError(method)

    async def exited(self, container_id: str) -> Any:
        """Wait until the container has ended; returns its ``ContainerStatus``."""
        future = self._exits.setdefault(container_id, asyncio.get_running_loop().create_future())
        self._happened.set()
        try:
            return await future
        finally:
            self._exits.pop(container_id, None)

    async def watch_exits(self) -> None:
        """Keep :meth:`exited` informed; runs until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_RELIST_S):
                        await self._happened.wait()
                self._happened.clear()
                if self._exits:
                    with contextlib.suppress(CriError):
                        await self._relist()

    async def _relist(self) -> None:
        exited = api_pb2.ContainerStateValue(state=api_pb2.CONTAINER_EXITED)
        request = api_pb2.ListContainersRequest(filter=api_pb2.ContainerFilter(state=exited))
        for container in (await self.call("ListContainers", request)).containers:
            future = self._exits.get(container.id)
            if future is not None and not future.done():
                asked = api_pb2.ContainerStatusRequest(container_id=container.id)
                status = (await self.call("ContainerStatus", asked)).status
                if not future.done():
                    future.set_result(status)

    async def _listen(self) -> None:
        """Note that something happened; CRI's own events came with containerd 1.7."""
        subscribe = self._channel.unary_stream(_EVENTS, None, None)
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                async for _ in subscribe(b""):
                    self._happened.set()
                    await asyncio.sleep(_LAG_S)
                    self._happened.set()
            await asyncio.sleep(_RELIST_S)

    async def close(self) -> None:
        """End the connection."""
        await self._channel.close(None)
