"""Calls the server: client.py GATEWAY [HOST], e.g. 127.0.0.1:8080 greeter.default.localhost."""

import sys

import grpc
from google.protobuf.wrappers_pb2 import StringValue

SERVICE = "/hearth.examples.Greeter"


def main():
    gateway = sys.argv[1]
    host = sys.argv[2] if len(sys.argv) > 2 else "greeter.default.localhost"
    options = [("grpc.default_authority", host)]
    with grpc.insecure_channel(gateway, options=options) as channel:
        encode = StringValue.SerializeToString
        greet = channel.unary_unary(f"{SERVICE}/Greet", encode, StringValue.FromString)
        print(greet(StringValue(value="gRPC"), timeout=30).value)
        count = channel.unary_stream(f"{SERVICE}/Count", encode, StringValue.FromString)
        for word in count(StringValue(value="one two three"), timeout=30):
            print(word.value)


if __name__ == "__main__":
    main()
