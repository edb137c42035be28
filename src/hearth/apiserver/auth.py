"""Who asks, and may they.

Bearer tokens from a static file of lines ``token,user,uid,"group,group"``, the format of
Kubernetes' ``--token-auth-file``.
"""

from __future__ import annotations

import csv
import hmac
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hearth.api.errors import Unauthorized
from hearth.api.http import Request

MASTERS = "system:masters"
#: Paths anyone may read: health, version and the description of the API.
_OPEN = ("/healthz", "/readyz", "/livez", "/version")


@dataclass(frozen=True, slots=True)
class User:
    """Who asks."""

    name: str
    groups: frozenset[str]


ANONYMOUS = User("system:anonymous", frozenset({"system:unauthenticated"}))
#: The users that exist from the start, by the name of their kubeconfig.
USERS = {
    "admin": User("admin", frozenset({MASTERS})),
    "controller": User("hearth:controller", frozenset({MASTERS})),
    "gateway": User("hearth:gateway", frozenset({MASTERS})),
    "node": User("hearth:node", frozenset({MASTERS})),
}


class Authenticator:
    """Knows users by their tokens."""

    def __init__(self, tokens: Iterable[tuple[str, User]]) -> None:
        self._users = dict(tokens)

    def user_of(self, request: Request) -> User:
        """The request's user.

        Raises:
            Unauthorized: no token where one is needed, or an unknown one.
        """
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            for known, user in self._users.items():
                if hmac.compare_digest(known, token.strip()):
                    return user
        elif request.path in _OPEN:
            return ANONYMOUS
        raise Unauthorized("Unauthorized")


def load_tokens(path: Path) -> dict[str, str]:
    """Token by user name; the file is made with fresh tokens for :data:`USERS` when absent."""
    if not path.exists():
        lines = [
            f'{secrets.token_urlsafe(32)},{user.name},{name},"{",".join(user.groups)}"\n'
            for name, user in USERS.items()
        ]
        write_private(path, "".join(lines).encode())
    with path.open(newline="") as file:
        return {row[1]: row[0] for row in csv.reader(file) if row}


def authenticator(tokens: dict[str, str]) -> Authenticator:
    """An authenticator for the users in the token file."""
    by_name = {user.name: user for user in USERS.values()}
    return Authenticator((token, by_name[name]) for name, token in tokens.items())


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
