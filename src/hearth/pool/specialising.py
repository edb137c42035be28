"""Speaks to the loader of a warm pod."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import socket
from dataclasses import dataclass, field

import msgspec

from hearth.api.meta import Wire, annotations_of, status_of
from hearth.api.names import CONTROL_PORT, CONTROL_PORT_ANNOTATION
from hearth.loader.protocol import SPECIALISE_PATH, Specialisation
from hearth.pool.core.claims import Failure

CONNECT_TIMEOUT_S = 2.0
_MARGIN_S = 5.0  #: on top of the time that the app itself may take to listen


def secret_of(pool_key: bytes, pod: str) -> str:
    """The secret of a warm pod; the pod itself knows only its hash."""
    return hmac.new(pool_key, pod.encode(), hashlib.sha256).hexdigest()


def secret_digest(secret: str) -> str:
    """What the pod is told."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Listening:
    """The app answers."""

    phases_s: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Taken:
    """Someone else has the pod, or it is dead: take another."""

    why: str
    began: bool = False  #: it had begun to become the app when it ended


Outcome = Listening | Taken | Failure


class _Answer(msgspec.Struct, rename="camel"):
    """A loader's body; an app can write there too, so it may be anything."""

    phases_s: dict[str, float] = {}
    reason: str = "ExitedEarly"
    message: str = ""


async def specialise(pod: Wire, secret: str, spec: Specialisation) -> Outcome:
    """Make a warm pod the app; returns once it listens or cannot."""
    host = str(status_of(pod).get("podIP"))
    port = int(annotations_of(pod).get(CONTROL_PORT_ANNOTATION) or CONTROL_PORT)
    body = spec.to_json()
    head = (
        f"POST {SPECIALISE_PATH} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {secret}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        return Taken(f"its loader does not answer: {error}")
    _watch_over(writer)
    with contextlib.closing(writer):
        try:
            async with asyncio.timeout(spec.listen_timeout_s + _MARGIN_S):
                writer.write(head.encode() + body)
                answer = await reader.read()
        except TimeoutError:
            said = f"the app did not listen within {spec.listen_timeout_s:g} s"
            return Failure("NotListening", said)
        except OSError as error:
            return Taken(f"its loader broke off: {error}", began=True)
    return parse_answer(answer)


def _watch_over(writer: asyncio.StreamWriter) -> None:
    """Notice within seconds that the pod has gone without a word, with its node."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT):
        sock.setsockopt(socket.IPPROTO_TCP, option, 2)


def parse_answer(answer: bytes) -> Outcome:
    """What a loader's HTTP answer means."""
    head, _, body = answer.partition(b"\r\n\r\n")
    parts = head.split(b" ", 2)
    if len(parts) < 2 or not parts[1].isdigit():
        return Taken("its loader ended before it answered", began=True)
    status = int(parts[1])
    try:
        said = msgspec.json.decode(body, type=_Answer)
    except msgspec.DecodeError:
        return Taken(f"its loader answered {status} and no JSON")
    if status == 200:
        return Listening(said.phases_s)
    if status == 422:
        return Failure(said.reason, said.message)
    return Taken(f"its loader answered {status}: {said.message}")
