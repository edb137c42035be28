"""The control port: takes one specialisation over HTTP; blocking, standard library alone."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import time
from dataclasses import dataclass, field

from hearth.loader.protocol import SPECIALISE_PATH, Specialisation

_HEAD_MAX_BYTES = 16 * 2**10
_BODY_MAX_BYTES = 4 * 2**20
_REQUESTS_MAX = 32  #: that are being read at the same time; the oldest gives way
_READ_TIMEOUT_S = 5.0  #: for a whole request
_ANSWER_TIMEOUT_S = 1.0  #: for a caller to take its answer


@dataclass
class Caller:
    """Whoever asked for the specialisation, and waits for how it went."""

    connection: socket.socket
    received_s: float = field(default_factory=time.monotonic)
    phases_s: dict[str, float] = field(default_factory=dict)

    def note(self, phase: str) -> None:
        """Remember when a phase ended."""
        self.phases_s[phase] = time.monotonic() - self.received_s

    def succeed(self) -> None:
        """Say that the app listens."""
        self.note("listening")
        answer(self.connection, 200, {"phasesS": self.phases_s})

    def fail(self, reason: str, message: str) -> None:
        """Say why there will be no app."""
        answer(self.connection, 422, {"reason": reason, "message": message})


@dataclass
class _Request:
    """What has been read of a request."""

    deadline_s: float
    received: bytes = b""


class Control:
    """Reads requests side by side, so that a caller who dawdles delays nobody."""

    def __init__(self, listener: socket.socket, secret_digest: str) -> None:
        """Take a specialisation on ``listener`` from who knows the secret.

        Args:
            listener: bound and listening.
            secret_digest: SHA-256 of the secret in hex; empty refuses everybody.
        """
        self._listener = listener
        self._secret_digest = secret_digest
        self._requests: dict[socket.socket, _Request] = {}
        listener.setblocking(False)

    def watched(self) -> list[socket.socket]:
        """What to wait for; give what is readable to :meth:`read`."""
        return [self._listener, *self._requests]

    def wait_s(self) -> float | None:
        """How long to wait at most before :meth:`expire`; None is for ever."""
        now_s = time.monotonic()
        return min((max(0.0, r.deadline_s - now_s) for r in self._requests.values()), default=None)

    def expire(self) -> None:
        """Let go of callers that took too long."""
        now_s = time.monotonic()
        for connection, request in list(self._requests.items()):
            if request.deadline_s <= now_s:
                self._refuse(connection, 408, "the request did not come within 5 s")

    def read(self, ready: socket.socket) -> tuple[Specialisation, Caller] | None:
        """Go on reading; returns what to become once someone has said it who may."""
        if ready is self._listener:
            connection = self._accept()
            return self._read(connection) if connection is not None else None
        return self._read(ready)

    def close(self) -> None:
        """The pod is taken: whoever else has asked is told so, whoever comes later is refused."""
        while self._accept() is not None:
            pass
        for connection in list(self._requests):
            self._refuse(connection, 409, "this pod has been specialised already")
        self._listener.close()

    def _accept(self) -> socket.socket | None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return None
        connection.setblocking(False)
        if len(self._requests) >= _REQUESTS_MAX:
            self._refuse(next(iter(self._requests)), 408, "too many callers")
        self._requests[connection] = _Request(time.monotonic() + _READ_TIMEOUT_S)
        return connection

    def _read(self, connection: socket.socket) -> tuple[Specialisation, Caller] | None:
        request = self._requests[connection]
        try:
            chunk = connection.recv(2**20)
        except BlockingIOError:
            return None
        except OSError:
            chunk = b""
        request.received += chunk
        if not chunk:
            self._refuse(connection, 400, "the request is cut off")
            return None
        head, end, body = request.received.partition(b"\r\n\r\n")
        if not end:
            if len(head) > _HEAD_MAX_BYTES:
                self._refuse(connection, 400, "the head is too long")
            return None
        return self._decide(connection, head.decode("latin-1"), body)

    def _decide(
        self, connection: socket.socket, head: str, body: bytes
    ) -> tuple[Specialisation, Caller] | None:
        """Judge by the head first: who has no right to ask may not make us read."""
        try:
            if refusal := self._refusal(head):
                self._refuse(connection, *refusal)
                return None
            length = _length(head)
            if len(body) < length:
                return None
            spec = Specialisation.from_json(body[:length])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            self._refuse(connection, 400, f"not a specialisation: {error}")
            return None
        del self._requests[connection]
        return spec, Caller(connection)

    def _refusal(self, head: str) -> tuple[int, str] | None:
        if not head.startswith(f"POST {SPECIALISE_PATH} "):
            said = head.partition("\r\n")[0][:100]
            return 404, f"expected POST {SPECIALISE_PATH}, got {said}"
        token = _header(head, "authorization").removeprefix("Bearer ")
        have = hashlib.sha256(token.encode()).hexdigest()
        if not self._secret_digest or not hmac.compare_digest(have, self._secret_digest):
            return 403, "the secret is not this pod's"
        return None

    def _refuse(self, connection: socket.socket, status: int, message: str) -> None:
        del self._requests[connection]
        answer(connection, status, {"message": message})


def _length(head: str) -> int:
    length = int(_header(head, "content-length") or 0)
    if not 0 <= length <= _BODY_MAX_BYTES:
        raise ValueError(f"the body has {length} bytes, at most {_BODY_MAX_BYTES}")
    return length


def _header(head: str, wanted: str) -> str:
    for line in head.split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.lower() == wanted:
            return value.strip()
    return ""


def answer(connection: socket.socket, status: int, body: dict[str, object]) -> None:
    """Send a JSON answer and close; the caller may be gone."""
    payload = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\n"
    with connection:
        try:
            connection.settimeout(_ANSWER_TIMEOUT_S)
            connection.sendall(head.encode() + b"content-length: %d\r\n\r\n" % len(payload))
            connection.sendall(payload)
            connection.shutdown(socket.SHUT_WR)
            connection.setblocking(False)
            connection.recv(2**16)  # closing with unread bytes would reset, and lose the answer
        except OSError:
            return
