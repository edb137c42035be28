"""Reads a kubeconfig: where the server is and who we are there.

Our own reader, because kubernetes-asyncio's costs 100 MiB and a second at import
(docs/decisions/0003-kubeconfig.md). It takes tokens, client certificates and exec plugins.
"""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

TOKEN_AGE_S = 60.0  #: after which a token's file is read again, as client-go does


class KubeconfigError(Exception):
    """The file is absent or does not name a usable server; the message says which part."""


class TokenFile:
    """A token in a file that is written anew from time to time, as kubelet does."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Know the file; it is read when the token is asked for."""
        self._path = path
        self._clock = clock
        self._token = ""
        self._read_at: float | None = None

    def __str__(self) -> str:
        """The token, at most a minute old; the last one where the file cannot be read."""
        now = self._clock()
        if self._read_at is None or now - self._read_at > TOKEN_AGE_S:
            with contextlib.suppress(OSError):
                self._token = self._path.read_text().strip()
            self._read_at = now
        return self._token


@dataclass(frozen=True, slots=True)
class Server:
    """One context of a kubeconfig, ready to connect with."""

    url: str  #: scheme, host and port, e.g. ``https://127.0.0.1:6443``
    prefix: str  #: path of the server URL, e.g. ``/clusters/acme``, or empty
    token: str | TokenFile
    ssl: ssl.SSLContext | None  #: None for plain http
    namespace: str  #: the context's default namespace


def load_kubeconfig(path: Path, context: str = "") -> Server:
    """Read one context (the current one by default).

    Raises:
        KubeconfigError: names the file, what was found and what was expected.
    """
    try:
        config = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise KubeconfigError(f"kubeconfig {path}: {error}") from error
    if not isinstance(config, dict):
        raise KubeconfigError(f"kubeconfig {path}: is not a mapping")
    wanted = context or config.get("current-context") or ""
    chosen = _named(config, "contexts", "context", wanted, path)
    cluster = _named(config, "clusters", "cluster", chosen.get("cluster", ""), path)
    user = _named(config, "users", "user", chosen.get("user", ""), path)
    if "exec" in user:
        user = {**user, **_exec_credential(user["exec"], path)}
    url = urlsplit(str(cluster.get("server", "")))
    if not url.netloc:
        raise KubeconfigError(f"kubeconfig {path}: cluster {chosen.get('cluster')!r} has no server")
    return Server(
        url=f"{url.scheme}://{url.netloc}",
        prefix=url.path.rstrip("/"),
        token=_token(user),
        ssl=_ssl_context(cluster, user, path) if url.scheme == "https" else None,
        namespace=chosen.get("namespace") or "default",
    )


def _named(config: dict[str, Any], plural: str, one: str, name: str, path: Path) -> dict[str, Any]:
    for entry in config.get(plural) or ():
        if entry.get("name") == name:
            return dict(entry.get(one) or {})
    raise KubeconfigError(f"kubeconfig {path}: no {one} named {name!r} in {plural}")


def _token(user: dict[str, Any]) -> str | TokenFile:
    if "tokenFile" in user:
        return TokenFile(Path(user["tokenFile"]))
    return str(user.get("token") or "")


def _ssl_context(cluster: dict[str, Any], user: dict[str, Any], path: Path) -> ssl.SSLContext:
    authority = _data(cluster, "certificate-authority", path)
    try:
        context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    except (ssl.SSLError, ValueError) as error:
        raise KubeconfigError(f"kubeconfig {path}: certificate-authority: {error}") from error
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate, key = _data(user, "client-certificate", path), _data(user, "client-key", path)
    if certificate and key:
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:  # ssl reads files only
            file.write(certificate + b"\n" + key)
            file.flush()
            context.load_cert_chain(file.name)
    return context


def _data(section: dict[str, Any], name: str, path: Path) -> bytes:
    if f"{name}-data" in section:
        return base64.b64decode(section[f"{name}-data"])
    if name in section:
        return (path.parent / str(section[name])).read_bytes()
    return b""


def _exec_credential(plugin: dict[str, Any], path: Path) -> dict[str, Any]:
    command = [str(plugin.get("command", "")), *map(str, plugin.get("args") or ())]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=60)
        status = json.loads(done.stdout)["status"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        raise KubeconfigError(f"kubeconfig {path}: exec plugin {command}: {error}") from error
    found = {"token": status.get("token", "")}
    for ours, theirs in (
        ("client-certificate-data", "clientCertificateData"),
        ("client-key-data", "clientKeyData"),
    ):
        if theirs in status:
            found[ours] = base64.b64encode(status[theirs].encode()).decode()
    return found
