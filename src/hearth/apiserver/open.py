"""Puts the API server's parts together."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from hearth.apiserver.admission import QuotaStatuses
from hearth.apiserver.auth import USERS, Authenticator, TokenFileError, load_users
from hearth.apiserver.bootstrap import bootstrap
from hearth.apiserver.gc import GarbageCollector
from hearth.apiserver.logs import NodeLogs
from hearth.apiserver.objects import Objects
from hearth.apiserver.packages import Packages
from hearth.apiserver.pki import PkiError, open_pki, write_kubeconfig
from hearth.apiserver.serve import listen, serve
from hearth.apiserver.server import ApiServer
from hearth.apiserver.tokens import Tokens, signing_key
from hearth.client import Client
from hearth.kit.clock import SystemClock
from hearth.kit.tasks import Part
from hearth.store import StoreUnavailable, open_store


@dataclass(frozen=True, slots=True)
class RunningApiServer:
    """An API server that answers."""

    handler: ApiServer
    url: str  #: ``https://HOST:PORT``
    kubeconfig: Path  #: the admin's; ``STATE/USER.kubeconfig`` are the components'
    tokens: dict[str, str]  #: bearer token by user name
    parts: tuple[Part, ...]  #: what must run beside it


@contextlib.asynccontextmanager
async def open_apiserver(state: Path, host: str, port: int) -> AsyncIterator[RunningApiServer]:
    """Serve the store in ``state`` on ``host:port`` (0 picks a free one) for the block.

    Raises:
        StoreUnavailable: the state is in use, unreadable or of a newer version.
        ListenError: the port is in use.
    """
    prepare_state(state)
    backend = open_store(state / "hearth.db")
    try:
        with contextlib.closing(listen(host, port)) as sock:
            url = _url(_called(host), sock.getsockname()[1])
            with _state_faults(state):
                pki = open_pki(state / "pki", _called(host))
                users = load_users(state / "tokens.csv")
                signed = Tokens(signing_key(state / "pki" / "sa.key"), backend)
                packages = Packages(state / "packages")
            tokens = {user.name: token for token, user in users.items()}
            clock = SystemClock()
            objects = Objects(backend, clock)
            known = Authenticator(users, signed)
            handler = ApiServer(objects, known, packages, NodeLogs(backend), signed, clock)
            await bootstrap(Client(handler, token=tokens["admin"], field_manager="bootstrap"), pki)
            with _state_faults(state):
                for name, user in USERS.items():
                    file = "kubeconfig" if name == "admin" else f"{name}.kubeconfig"
                    write_kubeconfig(state / file, url, pki, name, tokens[user.name])
            parts = (
                Part("garbage collector", GarbageCollector(objects, clock).run),
                Part("quota statuses", QuotaStatuses(objects, clock).run),
            )
            async with serve(handler, sock, pki.server_context()):
                yield RunningApiServer(handler, url, state / "kubeconfig", tokens, parts)
    finally:
        await backend.close()


@contextlib.contextmanager
def _state_faults(state: Path) -> Iterator[None]:
    """Say of a file in the state directory that cannot be used what is said of the store."""
    try:
        yield
    except (PkiError, TokenFileError, ValueError) as error:
        raise StoreUnavailable(str(error)) from error
    except OSError as error:
        raise StoreUnavailable(f"state {state}: cannot be used: {error}") from error


def _url(host: str, port: int) -> str:
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def _called(host: str) -> str:
    """By what clients on this machine call a server that listens on ``host``."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)


def prepare_state(state: Path) -> None:
    """Make the state directory for its owner alone.

    Raises:
        StoreUnavailable: it cannot be made or used.
    """
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        state.chmod(0o700)
        if not os.access(state, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(13, "permission denied")
    except OSError as error:
        raise StoreUnavailable(f"state {state}: cannot be used: {error.strerror}") from error
