"""References to container images, as Docker and Kubernetes read them.

Source: github.com/distribution/reference, "Grammar"; kubelet's credentialprovider keyring.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from hearth.api.meta import Wire

DOCKER_HUB = "docker.io"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[a-zA-Z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_REFERENCE = re.compile(
    rf"(?:(?P<host>{_HOST})/)?(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>[a-z0-9+._-]+:[0-9a-fA-F]{32,}))?"
)


@dataclass(frozen=True, slots=True)
class Image:
    """A parsed reference."""

    registry: str  #: host, with its port if it has one
    repository: str
    tag: str  #: empty when there is a digest and no tag
    digest: str  #: ``sha256:…``; empty when there is none

    @classmethod
    def parse(cls, text: str) -> Image:
        """Read a reference; what it leaves out is Docker Hub's, and ``latest``.

        Raises:
            ValueError: it is none.
        """
        host, slash, _ = text.partition("/")
        is_host = bool(slash) and ("." in host or ":" in host or host == "localhost")
        found = _REFERENCE.fullmatch(text if is_host else f"{DOCKER_HUB}/{text}")
        if found is None or found["host"] is None:
            raise ValueError(f"could not parse reference: {text}")
        path = found["path"]
        if found["host"] == DOCKER_HUB and "/" not in path:
            path = f"library/{path}"
        digest = found["digest"] or ""
        return cls(found["host"], path, found["tag"] or ("" if digest else "latest"), digest)

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}{'@' if self.digest else ''}{self.digest}"


@dataclass(frozen=True, slots=True)
class Credential:
    """What a registry is told."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""


def credentials_for(image: Image, secrets: Iterable[Wire]) -> list[Credential]:
    """The credentials in pull secrets that may be for the image, the most specific first.

    Args:
        image: that is to be pulled.
        secrets: Secrets of type ``kubernetes.io/dockerconfigjson`` or ``…/dockercfg``; others
            and broken ones hold nothing.
    """
    found: list[tuple[str, Credential]] = []
    for secret in secrets:
        for pattern, entry in _entries(secret).items():
            where = _where(pattern)
            if _matches(where, image):
                found.append((where, _credential(entry)))
    found.sort(key=lambda pair: pair[0], reverse=True)
    return list(dict.fromkeys(credential for _, credential in found))


def _entries(secret: Wire) -> dict[str, Wire]:
    data = secret.get("data") or {}
    try:
        if ".dockerconfigjson" in data:
            return json.loads(base64.b64decode(data[".dockerconfigjson"])).get("auths") or {}
        if ".dockercfg" in data:
            return dict(json.loads(base64.b64decode(data[".dockercfg"])))
    except (ValueError, AttributeError):
        return {}
    return {}


def _where(pattern: str) -> str:
    """Host and path of a key such as ``https://index.docker.io/v1/``."""
    where = re.sub(r"^https?://", "", pattern).rstrip("/")
    where = re.sub(r"/v[12]$", "", where)
    host, slash, path = where.partition("/")
    host = DOCKER_HUB if host in ("index.docker.io", "registry-1.docker.io") else host
    return f"{host}{slash}{path}"


def _matches(where: str, image: Image) -> bool:
    host, _, path = where.partition("/")
    wanted, actual = host.split("."), image.registry.split(".")
    same_host = len(wanted) == len(actual) and all(map(fnmatchcase, actual, wanted))
    return same_host and (f"{image.repository}/").startswith(f"{path}/" if path else "")


def _credential(entry: Wire) -> Credential:
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if not username and (auth := entry.get("auth")):
        with contextlib.suppress(binascii.Error, UnicodeDecodeError):
            username, _, password = base64.b64decode(str(auth)).decode().partition(":")
    tokens = (str(entry.get(name) or "") for name in ("identitytoken", "registrytoken"))
    return Credential(username, password, *tokens)
