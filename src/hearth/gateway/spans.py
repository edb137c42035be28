"""Sends spans of activations to an OpenTelemetry collector.

There is one for each traced request that was held, with its phases below it: few, so they are made
and sent here. Those of requests are Envoy's.

Source: W3C Trace Context; OTLP 1.x (opentelemetry/proto/collector/trace/v1).
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import grpc
import grpc.aio

from hearth.api.config import Tracing
from hearth.api.config.observability import GRPC
from hearth.gateway.observing import SERVICE_NAME

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

log = logging.getLogger(__name__)

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$")
_SAMPLED = 0x01
_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_EVERY_S = 1.0  #: between sends
_WAITING_MAX = 1000  #: spans; the oldest go
_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Parent:
    """The span that a request is part of."""

    trace_id: bytes
    span_id: bytes

    @classmethod
    def of(cls, traceparent: str) -> Parent | None:
        """From the header; None when it is not there, not understood, or says not to sample."""
        found = _TRACEPARENT.match(traceparent)
        if found is None or not int(found.group(3), 16) & _SAMPLED:
            return None
        return cls(bytes.fromhex(found.group(1)), bytes.fromhex(found.group(2)))


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took its time."""

    name: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    begin_s: float  #: since the epoch
    end_s: float
    attributes: Mapping[str, str]
    fault: str = ""


def activation(
    parent: Parent,
    took_s: float,
    phases_s: Mapping[str, float],
    attributes: Mapping[str, str],
    fault: str = "",
) -> list[Span]:
    """The spans of a hold that ends now and of its phases.

    Args:
        parent: the span that it is part of.
        took_s: since the request came.
        phases_s: when each phase of the activation ended, in seconds after it began; it is taken to
            have begun so that its last phase ended now.
        attributes: of the hold.
        fault: why it ended without an instance; empty if it did not.
    """
    end_s = time.time()
    whole = Span(
        "activate", parent.trace_id, secrets.token_bytes(8), parent.span_id,
        end_s - took_s, end_s, attributes, fault,
    )  # fmt: skip
    found, at_s = [whole], end_s - max(phases_s.values(), default=0.0)
    began_s = at_s
    for phase, after_s in phases_s.items():
        found.append(
            Span(phase, parent.trace_id, secrets.token_bytes(8), whole.span_id,
                 began_s, at_s + after_s, {})
        )  # fmt: skip
        began_s = at_s + after_s
    return found


class Spans:
    """What waits to be sent, and where to. Belongs to one event loop."""

    def __init__(self) -> None:
        self._tracing: Tracing | None = None
        self._waiting: deque[Span] = deque(maxlen=_WAITING_MAX)
        self._there_are = asyncio.Event()

    @property
    def wanted(self) -> bool:
        """Whether spans are sent anywhere."""
        return self._tracing is not None

    def send_to(self, tracing: Tracing | None) -> None:
        """Send them there from now on, or nowhere."""
        self._tracing = tracing

    def add(self, spans: list[Span]) -> None:
        """Send these soon."""
        self._waiting.extend(spans)
        self._there_are.set()

    async def run(self) -> None:
        """Send what comes until cancelled."""
        while True:
            await self._there_are.wait()
            await asyncio.sleep(_EVERY_S)
            self._there_are.clear()
            spans = list(self._waiting)
            self._waiting.clear()
            if self._tracing is not None and spans:
                await self._send(self._tracing, make_export(spans))

    async def _send(self, tracing: Tracing, export: ExportTraceServiceRequest) -> None:
        try:
            if tracing.protocol == GRPC:
                await _over_grpc(tracing, export)
            else:
                await _over_http(tracing, export)
        except (aiohttp.ClientError, grpc.aio.AioRpcError, OSError, TimeoutError) as error:
            facts = {"to": tracing.url, "because": str(error) or "no answer in time"}
            log.warning("spans not sent", extra={"f": facts})


async def _over_http(tracing: Tracing, export: ExportTraceServiceRequest) -> None:
    headers = {"content-type": "application/x-protobuf"}
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(tracing.url, data=export.SerializeToString(), headers=headers) as response,
    ):
        response.raise_for_status()


async def _over_grpc(tracing: Tracing, export: ExportTraceServiceRequest) -> None:
    where = f"{tracing.host}:{tracing.port}"
    opened: Any = (
        grpc.aio.secure_channel(where, grpc.ssl_channel_credentials())
        if tracing.tls
        else grpc.aio.insecure_channel(where)
    )
    async with opened as channel:
        await channel.unary_unary(_EXPORT)(export.SerializeToString(), timeout=_TIMEOUT_S)


def make_export(spans: list[Span]) -> ExportTraceServiceRequest:
    """The spans as OTLP."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as Wire

    export = ExportTraceServiceRequest()
    batch = export.resource_spans.add()
    own = batch.resource.attributes.add(key="service.name")
    own.value.string_value = SERVICE_NAME
    scope = batch.instrumentation_library_spans.add()  # what is scope_spans in newer versions
    for span in spans:
        wire = scope.spans.add(
            name=span.name,
            trace_id=span.trace_id,
            span_id=span.span_id,
            parent_span_id=span.parent_id,
            kind=Wire.SPAN_KIND_INTERNAL,
            start_time_unix_nano=int(span.begin_s * 1e9),
            end_time_unix_nano=int(span.end_s * 1e9),
        )
        for name, text in span.attributes.items():
            wire.attributes.add(key=name).value.string_value = text
        if span.fault:
            wire.status.code = 2  # STATUS_CODE_ERROR
            wire.status.message = span.fault
    return export
