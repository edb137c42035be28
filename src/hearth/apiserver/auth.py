"""Who asks, and may they.

Bearer tokens from a static file of lines ``token,user,uid,"group,group"``, the format of
Kubernetes' ``--token-auth-file``.
"""

from __future__ import annotations

import csv
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hearth.api.errors import Unauthorized
from hearth.api.http import Request
from hearth.api.meta import ROOT
from hearth.kit.files import write_private

MASTERS = "system:masters"
#: Below these anyone may read: health, version and the description of the API.
_OPEN = ("/healthz", "/readyz", "/livez", "/version", "/openapi", "/.well-known", "/openid")


@dataclass(frozen=True, slots=True)
class User:
    """Who asks."""

    name: str
    groups: frozenset[str]
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False, compare=False)


class TokenReader(Protocol):
    """Knows tokens that are made here."""

    def user_of(self, token: str, tenant: str, audiences: list[str]) -> User:
        """Whose token it is; raises ``Unauthorized``."""
        ...


ANONYMOUS = User("system:anonymous", frozenset({"system:unauthenticated"}))
#: The users that exist from the start, by the name of their kubeconfig.
USERS = {
    "admin": User("admin", frozenset({MASTERS})),
    "controller": User("hearth:controller", frozenset({MASTERS})),
    "gateway": User("hearth:gateway", frozenset({MASTERS})),
    "node": User("hearth:node", frozenset({MASTERS})),
}


class TokenFileError(Exception):
    """The token file cannot be read; the message names the file and the line."""


class Authenticator:
    """Knows users by their tokens."""

    def __init__(self, users: Mapping[str, User], tokens: TokenReader | None = None) -> None:
        """``users`` by token; ``tokens`` reads those that are signed."""
        self._tokens = tokens
        # By digest, so that how long a look-up takes says nothing of a token.
        self._users = {_digest(token): user for token, user in users.items()}

    def user_of(self, request: Request, tenant: str = ROOT) -> User:
        """The request's user; anonymous for what anyone may read.

        Raises:
            Unauthorized: no token where one is needed, or an unknown one.
        """
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self.user_of_token(token.strip(), tenant, [])
        if request.method == "GET" and f"/{request.path.split('/')[1]}" in _OPEN:
            return ANONYMOUS
        raise Unauthorized("Unauthorized")

    def user_of_token(self, token: str, tenant: str, audiences: list[str]) -> User:
        """Whose token it is; raises ``Unauthorized``."""
        user = self._users.get(_digest(token))
        if user is not None:
            return user
        if self._tokens is not None and token.count(".") == 2:
            try:
                return self._tokens.user_of(token, tenant, audiences)
            except Unauthorized:
                if audiences:
                    raise
        raise Unauthorized("Unauthorized")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def load_users(path: Path) -> dict[str, User]:
    """Users by token; tokens of :data:`USERS` that the file lacks are made and added to it.

    Raises:
        TokenFileError: the file cannot be read.
    """
    users = _read(path) if path.exists() else {}
    known = {user.name for user in users.values()}
    missing = {name: user for name, user in USERS.items() if user.name not in known}
    if missing:
        fresh = {secrets.token_urlsafe(32): user for user in missing.values()}
        users |= fresh
        lines = "".join(_line(token, user) for token, user in users.items())
        write_private(path, lines.encode())
    return users


def _line(token: str, user: User) -> str:
    return f'{token},{user.name},{user.name},"{",".join(sorted(user.groups))}"\n'


def _read(path: Path) -> dict[str, User]:
    users = {}
    try:
        with path.open(newline="") as file:
            for number, row in enumerate(csv.reader(file), 1):
                if row and len(row) < 3:
                    raise TokenFileError(
                        f"{path}, line {number}: {len(row)} columns, expected token,user,uid,groups"
                    )
                if row:
                    groups = frozenset(filter(None, row[3].split(",") if len(row) > 3 else ()))
                    users[row[0]] = User(row[1], groups)
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise TokenFileError(f"{path}: cannot be read: {error}") from error
    return users
