"""The private line between a pod's loader and the node agent: JSON lines on a socket pair.

Only the node agent's children have one, and the node agent takes nothing from it but reports once
user code is about to run. What is said, loader to node::

    {"op": "netns"}                                 I am in a network namespace of my own: wire it
    {"op": "ready", "appPort": n, "controlPort": n} I am warm
    {"op": "fetch", "url": …, "digest": …}          where is this package?
    {"op": "become", "pod": …, "mounts": bool}      this is what I become; where are its volumes?
    {"op": "sealed"}                                user code comes next: only reports follow
    {"op": "tail"}                                  what did I print last?
    {"op": "listening"}                             the app answers
    {"op": "failed", "reason": …, "message": …}     it cannot

and node to loader::

    {"op": "go", "ip": …, "prefix": n, "gateway": …, "etc": {target: source, …}}
                                                    eth0 is there: configure it, see these files
    {"op": "fetched", "path": …} or {"op": "fetched", "reason": …, "message": …}
    {"op": "mounted", "binds": [[source, target, read-only], …]} or with reason and message
    {"op": "tail", "text": …}
    {"op": "specialise", "spec": {…}}               an ordinary pod: become this now
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, TypeAlias

from hearth.loader.confine import confine
from hearth.loader.mounts import Bind
from hearth.loader.packages import CodeError, obtain
from hearth.loader.protocol import Identity, Package, Specialisation

Prepared: TypeAlias = tuple[Path, Path | None]  #: where code and layer are


class Channel:
    """The loader's end; blocking."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._rest = b""

    def fileno(self) -> int:
        """For select."""
        return self._sock.fileno()

    def tell(self, op: str, **facts: Any) -> None:
        """Send one message; a node agent that is gone is about to end us anyway."""
        try:
            self._sock.sendall(json.dumps({"op": op, **facts}).encode() + b"\n")
        except OSError:
            return

    def hear(self) -> dict[str, Any]:
        """The next message; raises ``EOFError`` when the node agent is gone."""
        while b"\n" not in self._rest:
            try:
                chunk = self._sock.recv(65536)
            except ConnectionError as error:  # it was killed with unread words of ours
                raise EOFError from error
            if not chunk:
                raise EOFError
            self._rest += chunk
        line, self._rest = self._rest.split(b"\n", 1)
        message: dict[str, Any] = json.loads(line)
        return message

    def obtain(self, package: Package) -> Path:
        """Ask the node agent for the folder of a package.

        Raises:
            CodeError: it cannot be had.
        """
        self.tell("fetch", url=package.url, digest=package.digest)
        answer = self.hear()
        if "path" not in answer:
            raise CodeError(answer["reason"], answer["message"])
        return Path(answer["path"])

    def prepare(self, spec: Specialisation, code: Path, layer: Path | None) -> Prepared:
        """Say what we become, and become confined to it.

        Raises:
            CodeError: a volume cannot be had, or the machine does not let us.
        """
        self.tell("become", pod=spec.pod, mounts=spec.mounts, environment=dict(spec.env))
        binds: list[Bind] = []
        if spec.mounts:
            answer = self.hear()
            if "binds" not in answer:
                raise CodeError(answer["reason"], answer["message"])
            binds = [Bind(*each) for each in answer["binds"]]
        return confine(spec.identity, binds, code, layer)

    def last_output(self) -> str:
        """The last lines that the pod has printed; empty when nobody kept them."""
        self.tell("tail")
        try:
            return str(self.hear().get("text") or "")
        except (EOFError, OSError):
            return ""


class Alone:
    """Stands in for the node agent where there is none: in a container."""

    def __init__(self, cache: Path) -> None:
        """Keep packages in ``cache``."""
        self._cache = cache

    def fileno(self) -> int:
        """There is nothing to wait for."""
        return -1

    def tell(self, op: str, **facts: Any) -> None:
        """Nobody listens."""

    def hear(self) -> dict[str, Any]:
        """Nobody speaks."""
        raise EOFError

    def obtain(self, package: Package) -> Path:
        """Fetch the package and unpack it here.

        Raises:
            CodeError: it cannot be had.
        """
        return obtain(package, self._cache)

    def prepare(self, spec: Specialisation, code: Path, layer: Path | None) -> Prepared:
        """The container is what it should be, unless it was claimed: then it is the pool's.

        Raises:
            CodeError: it was claimed for a pod with volumes or a user.
        """
        if spec.pod is not None and (spec.mounts or spec.identity != Identity()):
            said = "a warm pod in a container cannot be given volumes or a user"
            raise CodeError("CreateContainerError", said)
        return code, layer

    def last_output(self) -> str:
        """The container's log has it."""
        return ""
