"""A gRPC server without generated code: its messages are protobuf's own StringValue.

Deploy it with --port h2c:8080, then call it: python examples/grpc/client.py HOST:PORT
"""

import os
import signal
import time
from concurrent import futures

import grpc
from google.protobuf.wrappers_pb2 import StringValue

SERVICE = "hearth.examples.Greeter"


def greet(request, context):
    return StringValue(value=f"Hello, {request.value or 'world'}!")


def count(request, context):
    """A stream: one message a word."""
    for word in request.value.split():
        yield StringValue(value=word)
        time.sleep(0.1)


def main():
    encode = StringValue.SerializeToString
    methods = {
        "Greet": grpc.unary_unary_rpc_method_handler(greet, StringValue.FromString, encode),
        "Count": grpc.unary_stream_rpc_method_handler(count, StringValue.FromString, encode),
    }
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=10))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    server.add_insecure_port(f"0.0.0.0:{os.environ['PORT']}")
    server.start()
    signal.signal(signal.SIGTERM, lambda number, frame: server.stop(grace=10))
    server.wait_for_termination()


if __name__ == "__main__":
    main()
