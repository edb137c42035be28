"""SPDY/3.1 frames are read and written as the draft and kubectl's library have them."""

from __future__ import annotations

import hashlib
import struct
import zlib

import pytest

from hearth.apiserver.core.spdy import (
    DICTIONARY,
    Connection,
    Data,
    GoneAway,
    Opened,
    Pinged,
    ProtocolFault,
    Reset,
)


class Client:
    """Writes what a client writes."""

    def __init__(self):
        self._deflate = zlib.compressobj(9, zlib.DEFLATED, 15, 8, 0, DICTIONARY)

    def block(self, **headers):
        plain = struct.pack(">I", len(headers))
        for word in [word for pair in headers.items() for word in pair]:
            plain += struct.pack(">I", len(word)) + word.encode()
        return self._deflate.compress(plain) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def open(self, stream, *, end=False, **headers):
        body = struct.pack(">IIBB", stream, 0, 0, 0) + self.block(**headers)
        return control(1, body, flags=int(end))


def control(kind, body, *, flags=0, version=3):
    return struct.pack(">HHI", 0x8000 | version, kind, flags << 24 | len(body)) + body


def test_the_dictionary_is_the_drafts():
    digest = "51d27341373f923f3cd88e1eb7162aeaa3723d7585ff2399201dc06498407f02"
    assert hashlib.sha256(DICTIONARY).hexdigest() == digest


def test_streams_open_with_headers_whose_compression_goes_on():
    client, server = Client(), Connection()
    first = client.open(1, Streamtype="error", Port="80", requestid="0")
    second = client.open(3, streamtype="data", port="80", requestid="0", end=True)
    frames = [*server.receive(first), *server.receive(second)]
    assert frames == [
        Opened(1, {"streamtype": "error", "port": "80", "requestid": "0"}),
        Opened(3, {"streamtype": "data", "port": "80", "requestid": "0"}),
        Data(3, b"", end=True),
    ]


def test_frames_may_come_in_any_pieces():
    whole = Client().open(1, a="b") + struct.pack(">II", 1, 1 << 24 | 3) + b"abc"
    server = Connection()
    frames = [frame for byte in whole for frame in server.receive(bytes([byte]))]
    assert frames == [Opened(1, {"a": "b"}), Data(1, b"abc", end=True)]


@pytest.mark.parametrize(
    ("kind", "body", "want"),
    [
        pytest.param(3, struct.pack(">II", 5, 1), [Reset(5)], id="reset"),
        pytest.param(6, struct.pack(">I", 7), [Pinged(7)], id="ping"),
        pytest.param(7, struct.pack(">II", 0, 0), [GoneAway()], id="goaway"),
        pytest.param(9, struct.pack(">II", 1, 1), [], id="window-is-ignored"),
        pytest.param(4, b"", [], id="settings-are-ignored"),
    ],
)
def test_other_frames(kind, body, want):
    assert list(Connection().receive(control(kind, body))) == want


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(control(1, b"\0" * 10 + b"rubbish"), id="no-headers"),
        pytest.param(control(1, b"\0" * 3), id="too-short"),
        pytest.param(control(6, b"\0\0\0\0", version=2), id="version"),
        pytest.param(Client().open(1, a="x" * 100_000), id="headers-too-long"),
    ],
)
def test_what_is_no_spdy_is_refused(frame):
    with pytest.raises(ProtocolFault):
        list(Connection().receive(frame))


def test_what_we_write_can_be_read():
    server, inflate = Connection(), zlib.decompressobj(zdict=DICTIONARY)
    for stream in (1, 3):
        reply = server.reply(stream)
        assert reply[:4] == b"\x80\x03\x00\x02"
        assert struct.unpack(">I", reply[8:12]) == (stream,)
        assert inflate.decompress(reply[12:]) == b"\0\0\0\0"
    assert server.data(3, b"abc", end=True) == struct.pack(">II", 3, 1 << 24 | 3) + b"abc"
    assert server.reset(3) == control(3, struct.pack(">II", 3, 6))
    assert server.pong(9) == control(6, struct.pack(">I", 9))
