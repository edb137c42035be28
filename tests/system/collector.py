"""An OpenTelemetry collector that keeps what it is sent: over gRPC and over HTTP."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"


@dataclass(frozen=True)
class Seen:
    """A span, as far as tests look at it."""

    name: str
    trace: str
    span: str
    parent: str
    kind: int
    service: str
    tags: dict[str, str]
    begin_ns: int
    end_ns: int


@dataclass
class Collector:
    """Where to send to, and what came."""

    grpc: str = ""
    http: str = ""
    spans: list[Seen] = field(default_factory=list)

    def take(self, request: ExportTraceServiceRequest) -> None:
        """Keep the spans of a request."""
        for batch in request.resource_spans:
            own = {a.key: a.value.string_value for a in batch.resource.attributes}
            for scope in batch.instrumentation_library_spans:
                for span in scope.spans:
                    self.spans.append(
                        Seen(
                            span.name,
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex(),
                            span.kind,
                            own.get("service.name", ""),
                            {a.key: a.value.string_value for a in span.attributes},
                            span.start_time_unix_nano,
                            span.end_time_unix_nano,
                        )
                    )

    def of(self, trace: str) -> list[Seen]:
        """The spans of a trace."""
        return [span for span in self.spans if span.trace == trace]


def _body(request: BaseHTTPRequestHandler) -> bytes:
    if length := request.headers.get("content-length"):
        return request.rfile.read(int(length))
    body = b""
    while size := int(request.rfile.readline(), 16):  # in chunks (RFC 9112, 7.1)
        body += request.rfile.read(size)
        request.rfile.readline()
    request.rfile.readline()
    return body


@contextlib.contextmanager
def collector() -> Iterator[Collector]:
    """One that runs for the length of the block."""
    found = Collector()

    def export(request: ExportTraceServiceRequest, context: grpc.ServicerContext):
        found.take(request)
        return ExportTraceServiceResponse()

    method = grpc.unary_unary_rpc_method_handler(
        export,
        ExportTraceServiceRequest.FromString,
        ExportTraceServiceResponse.SerializeToString,
    )
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(_SERVICE, {"Export": method}),)
    )
    found.grpc = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body, known = _body(self), self.path == "/v1/traces"
            if known:
                found.take(ExportTraceServiceRequest.FromString(body))
            self.send_response(200 if known else 404)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.http = f"http://127.0.0.1:{httpd.server_address[1]}/v1/traces"
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    try:
        yield found
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()
        server.stop(0).wait()
