"""SPDY/3.1 framing, as far as port forwarding needs it: bytes in, frames out. No I/O.

kubectl carries these frames in WebSocket messages (``SPDY/3.1+portforward.k8s.io``). Its library
keeps no flow-control windows, and neither do we.

Source: SPDY Protocol Draft 3.1 (chromium.org), github.com/moby/spdystream.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

_NAMES = (
    "options|head|post|put|delete|trace|accept|accept-charset|accept-encoding|accept-"
    "language|accept-ranges|age|allow|authorization|cache-control|connection|content-"
    "base|content-encoding|content-language|content-length|content-location|content-md5|"
    "content-range|content-type|date|etag|expect|expires|from|host|if-match|if-"
    "modified-since|if-none-match|if-range|if-unmodified-since|last-modified|location|"
    "max-forwards|pragma|proxy-authenticate|proxy-authorization|range|referer|retry-"
    "after|server|te|trailer|transfer-encoding|upgrade|user-agent|vary|via|warning|"
    "www-authenticate|method|get|status|200 OK|version|HTTP/1.1|url|public|set-cookie|"
    "keep-alive|origin"
)
_TEXT = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request"
    "401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented"
    "503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, "
    "Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    "application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdch"
    "charset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
#: What both sides' compressors know beforehand (section 2.6.10.1).
DICTIONARY = (
    b"".join(struct.pack(">I", len(w)) + w.encode() for w in _NAMES.split("|")) + _TEXT.encode()
)

_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING, _GOAWAY = 1, 2, 3, 6, 7
_FIN = 1
_FRAME_MAX_BYTES = 2**24 - 1
_HEADERS_MAX_BYTES = 64 * 2**10


class ProtocolFault(Exception):
    """The other side does not speak SPDY/3.1."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The client has opened a stream."""

    stream: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes of a stream; ``end``: the client says no more on it."""

    stream: int
    data: bytes
    end: bool


@dataclass(frozen=True, slots=True)
class Reset:
    """The client has given a stream up."""

    stream: int


@dataclass(frozen=True, slots=True)
class Pinged:
    """The client wants to know whether we are there: send :meth:`Connection.pong`."""

    number: int


@dataclass(frozen=True, slots=True)
class GoneAway:
    """The client opens no more streams."""


Frame: TypeAlias = Opened | Data | Reset | Pinged | GoneAway


@dataclass(slots=True)
class Connection:
    """A server's end of one connection."""

    _received: bytes = b""
    _inflate: zlib._Decompress = field(default_factory=lambda: zlib.decompressobj(zdict=DICTIONARY))
    _deflate: zlib._Compress = field(
        default_factory=lambda: zlib.compressobj(
            9, zlib.DEFLATED, zlib.MAX_WBITS, 8, zlib.Z_DEFAULT_STRATEGY, DICTIONARY
        )
    )

    def receive(self, data: bytes) -> Iterator[Frame]:
        """The frames that these bytes complete.

        Raises:
            ProtocolFault: they are none.
        """
        self._received += data
        while len(self._received) >= 8:
            head, flags_and_length = struct.unpack(">II", self._received[:8])
            flags, length = flags_and_length >> 24, flags_and_length & 0xFFFFFF
            if len(self._received) < 8 + length:
                return
            body = self._received[8 : 8 + length]
            self._received = self._received[8 + length :]
            if not head >> 31:
                yield Data(head, body, bool(flags & _FIN))
            else:
                yield from self._control((head >> 16) & 0x7FFF, head & 0xFFFF, flags, body)

    def _control(self, version: int, kind: int, flags: int, body: bytes) -> Iterator[Frame]:
        if version != 3:
            raise ProtocolFault(f"SPDY version is {version}, expected 3")
        try:
            number = struct.unpack(">I", body[:4])[0] & 0x7FFFFFFF if body else 0
            if kind == _SYN_STREAM:
                yield Opened(number, self._headers(body[10:]))
                if flags & _FIN:
                    yield Data(number, b"", end=True)
            elif kind == _RST_STREAM:
                yield Reset(number)
            elif kind == _PING:
                yield Pinged(number)
            elif kind == _GOAWAY:
                yield GoneAway()
        except (struct.error, zlib.error, UnicodeDecodeError) as error:
            raise ProtocolFault(f"a control frame cannot be read: {error}") from error

    def _headers(self, block: bytes) -> dict[str, str]:
        plain = self._inflate.decompress(block, _HEADERS_MAX_BYTES)
        if self._inflate.unconsumed_tail:
            raise ProtocolFault(f"the headers have more than {_HEADERS_MAX_BYTES} bytes")
        words, at = [], 4
        for _ in range(2 * struct.unpack(">I", plain[:4])[0]):
            [length] = struct.unpack(">I", plain[at : at + 4])
            words.append(plain[at + 4 : at + 4 + length].decode())
            at += 4 + length
        return {name.lower(): value for name, value in zip(words[::2], words[1::2], strict=True)}

    def reply(self, stream: int) -> bytes:
        """Accept a stream."""
        block = self._deflate.compress(struct.pack(">I", 0)) + self._deflate.flush(
            zlib.Z_SYNC_FLUSH
        )
        return _control(_SYN_REPLY, struct.pack(">I", stream) + block)

    def data(self, stream: int, data: bytes, *, end: bool = False) -> bytes:
        """Bytes of a stream; ``end``: we say no more on it."""
        assert len(data) <= _FRAME_MAX_BYTES
        return struct.pack(">II", stream, (_FIN if end else 0) << 24 | len(data)) + data

    def reset(self, stream: int) -> bytes:
        """Give a stream up (INTERNAL_ERROR)."""
        return _control(_RST_STREAM, struct.pack(">II", stream, 6))

    def pong(self, number: int) -> bytes:
        """Answer a ping."""
        return _control(_PING, struct.pack(">I", number))


def _control(kind: int, body: bytes) -> bytes:
    return struct.pack(">HHI", 0x8003, kind, len(body)) + body
