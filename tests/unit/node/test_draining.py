import asyncio
import os
import socket
import time

from hearth.node.draining import connections, drained


def listening():
    server = socket.create_server(("127.0.0.1", 0))
    return server, server.getsockname()[1]


def test_only_what_is_connected_to_the_port_counts():
    server, port = listening()
    with server, socket.create_connection(("127.0.0.1", port)):
        assert connections(os.getpid(), port) == 1
        assert connections(os.getpid(), port + 1) == 0
    assert connections(os.getpid(), port) == 0


def test_what_has_ended_has_no_connections():
    assert connections(2**22 + 1, 8080) == 0


def waited(port, *, least_s, most_s):
    started = time.monotonic()
    asyncio.run(drained(os.getpid(), port, least_s=least_s, most_s=most_s))
    return time.monotonic() - started


def test_an_open_connection_is_waited_for_and_not_for_ever():
    server, port = listening()
    with server:
        assert waited(port, least_s=0.01, most_s=60) < 30
        with socket.create_connection(("127.0.0.1", port)):
            assert waited(port, least_s=0.0, most_s=0.2) >= 0.2
