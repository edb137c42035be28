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
_READ_TIMEOUT_S = 5.0  #: a caller that dawdles must not block the others


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
        self._end(200, {"phasesS": self.phases_s})

    def fail(self, reason: str, message: str) -> None:
        """Say why there will be no app."""
        self._end(422, {"reason": reason, "message": message})

    def _end(self, status: int, body: dict[str, object]) -> None:
        answer(self.connection, status, body)
        self.connection.close()


def answer(connection: socket.socket, status: int, body: dict[str, object]) -> None:
    """Send a JSON answer; the caller may be gone."""
    payload = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\n"
    try:
        connection.sendall(head.encode() + b"content-length: %d\r\n\r\n" % len(payload) + payload)
    except OSError:
        return


def take(listener: socket.socket, secret_digest: str) -> tuple[Specialisation, Caller] | None:
    """Accept one connection; returns what it asks for if it may, else answers it and None."""
    connection, _ = listener.accept()
    connection.settimeout(_READ_TIMEOUT_S)
    caller = Caller(connection)
    try:
        head, body = _read(connection)
    except (OSError, ValueError) as error:
        answer(connection, 400, {"message": f"bad request: {error}"})
        connection.close()
        return None
    refusal = _refusal(head, secret_digest)
    if refusal is None:
        try:
            return Specialisation.from_json(body), caller
        except (ValueError, TypeError, KeyError) as error:
            refusal = (400, f"not a specialisation: {error}")
    answer(connection, refusal[0], {"message": refusal[1]})
    connection.close()
    return None


def _refusal(head: str, secret_digest: str) -> tuple[int, str] | None:
    request, _, rest = head.partition("\r\n")
    if not request.startswith(f"POST {SPECIALISE_PATH} "):
        return 404, f"expected POST {SPECIALISE_PATH}, got {request[:100]}"
    token = ""
    for line in rest.split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "authorization":
            token = value.strip().removeprefix("Bearer ")
    have = hashlib.sha256(token.encode()).hexdigest()
    if not secret_digest or not hmac.compare_digest(have, secret_digest):
        return 403, "the secret is not this pod's"
    return None


def _read(connection: socket.socket) -> tuple[str, bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = connection.recv(65536)
        if not chunk or len(received) > _HEAD_MAX_BYTES:
            raise ValueError("the head is cut off or too long")
        received += chunk
    head, body = received.split(b"\r\n\r\n", 1)
    text = head.decode("latin-1")
    length = 0
    for line in text.split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            length = int(value)
    if length > _BODY_MAX_BYTES:
        raise ValueError("the body is too long")
    while len(body) < length:
        chunk = connection.recv(length - len(body))
        if not chunk:
            raise ValueError("the body is cut off")
        body += chunk
    return text, body
