"""Tokens of service accounts: JSON web tokens that end, signed with a key of our own (ES256).

Source: k8s.io/kubernetes pkg/serviceaccount/claims.go; RFC 7515, RFC 7518.
"""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from hearth.api.errors import Unauthorized
from hearth.api.kinds import POD, SECRET, SERVICE_ACCOUNT, Kind
from hearth.api.meta import ObjectKey, Wire, name_of, uid_of
from hearth.apiserver.auth import User
from hearth.apiserver.codec import decode
from hearth.apiserver.core.rbac import account_groups, account_name
from hearth.kit.files import write_private
from hearth.kit.x509 import pem_of_key
from hearth.store import Backend
from hearth.store.core.keys import object_key

ISSUER = "https://kubernetes.default.svc"
AUDIENCE = ISSUER  #: of a token that is for this API server
LIFETIME_S_MIN, LIFETIME_S = 600, 3600
_NUMBER_BYTES = 32  #: of each half of a P-256 signature
_BOUND: dict[str, Kind] = {"Pod": POD, "Secret": SECRET}


@dataclass(frozen=True, slots=True)
class Issued:
    """A new token."""

    token: str
    expires_s: int  #: seconds since the epoch


class Tokens:
    """Makes tokens and knows them again."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, backend: Backend) -> None:
        self._key = key
        self._backend = backend

    def issue(
        self, account: Wire, audiences: list[str], lifetime_s: int, bound: Wire | None
    ) -> Issued:
        """A token for an account, perhaps only as long as a pod or secret is there."""
        now, meta = int(time.time()), account["metadata"]
        about: dict[str, Any] = {
            "namespace": meta["namespace"],
            "serviceaccount": {"name": name_of(account), "uid": uid_of(account)},
        }
        if bound:
            about[str(bound["kind"]).lower()] = {"name": bound["name"], "uid": bound["uid"]}
        claims = {
            "aud": audiences or [AUDIENCE],
            "exp": now + lifetime_s,
            "iat": now,
            "iss": ISSUER,
            "kubernetes.io": about,
            "nbf": now,
            "sub": account_name(meta["namespace"], name_of(account)),
        }
        signed = f"{_encoded({'alg': 'ES256', 'typ': 'JWT'})}.{_encoded(claims)}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(_NUMBER_BYTES, "big") + s.to_bytes(_NUMBER_BYTES, "big")
        return Issued(f"{signed}.{_base64(signature)}", now + lifetime_s)

    def user_of(self, token: str, tenant: str, audiences: list[str]) -> User:
        """Whose token it is.

        Raises:
            Unauthorized: it is none of ours, has ended, is for others, or what it was bound to is
                gone.
        """
        claims = self._verified(token)
        now = time.time()
        if not claims.get("nbf", 0) - 60 <= now < claims.get("exp", 0):
            raise Unauthorized("Token has expired")
        if not set(claims.get("aud") or ()) & set(audiences or [AUDIENCE]):
            raise Unauthorized("token audiences are not for this server")
        about = claims["kubernetes.io"]
        namespace, account = about["namespace"], about["serviceaccount"]
        self._check_there(SERVICE_ACCOUNT, tenant, namespace, account)
        extra: dict[str, tuple[str, ...]] = {}
        for kind in _BOUND.values():
            if bound := about.get(kind.kind.lower()):
                self._check_there(kind, tenant, namespace, bound)
                if kind is POD:
                    prefix = "authentication.kubernetes.io/pod"
                    extra = {f"{prefix}-name": (bound["name"],), f"{prefix}-uid": (bound["uid"],)}
        name = account_name(namespace, account["name"])
        return User(name, account_groups(namespace), account["uid"], extra)

    def _verified(self, token: str) -> dict[str, Any]:
        try:
            signed, _, signature = token.rpartition(".")
            raw = _decoded(signature)
            r, s = (int.from_bytes(half, "big") for half in (raw[:_NUMBER_BYTES],
                                                            raw[_NUMBER_BYTES:]))  # fmt: skip
            public = self._key.public_key()
            public.verify(encode_dss_signature(r, s), signed.encode(), ec.ECDSA(hashes.SHA256()))
            claims: dict[str, Any] = msgspec.json.decode(_decoded(signed.split(".")[1]))
        except (ValueError, IndexError, InvalidSignature, msgspec.DecodeError) as error:
            raise Unauthorized("invalid bearer token") from error
        return claims

    def _check_there(self, kind: Kind, tenant: str, namespace: str, wanted: Wire) -> None:
        key = object_key(kind, ObjectKey(tenant, namespace, str(wanted.get("name"))))
        entry = self._backend.get(key)
        if entry is None or uid_of(decode(entry)) != wanted.get("uid"):
            raise Unauthorized(f'{kind.kind.lower()} "{wanted.get("name")}" of the token is gone')

    def key_set(self) -> dict[str, Any]:
        """The public key, for those who check tokens by themselves (RFC 7517)."""
        numbers = self._key.public_key().public_numbers()
        point = {
            "x": _base64(numbers.x.to_bytes(_NUMBER_BYTES, "big")),
            "y": _base64(numbers.y.to_bytes(_NUMBER_BYTES, "big")),
        }
        return {"keys": [{"kty": "EC", "use": "sig", "alg": "ES256", "crv": "P-256", **point}]}


def signing_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The key that is kept in the file; made when there is none.

    Raises:
        ValueError: the file holds no such key.
    """
    if path.exists():
        key = serialization.load_pem_private_key(path.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{path}: holds no elliptic curve key; remove it to begin anew")
        return key
    key = ec.generate_private_key(ec.SECP256R1())
    write_private(path, pem_of_key(key))
    return key


def _encoded(value: dict[str, Any]) -> str:
    return _base64(msgspec.json.encode(value))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
