"""What is said to a loader: ``POST http://POD_IP:CONTROL_PORT/specialise``.

The caller proves with ``Authorization: Bearer SECRET`` that it may; the pod knows only the
secret's SHA-256 (environment variable ``HEARTH_LOADER_SECRET_SHA256``), so nothing inside it helps
to claim another pod. The body is a :class:`Specialisation` as JSON. The answer comes once the app
answers on its port, or cannot:

======  ==========================================================================================
200     ``{"phasesS": {"injected": 0.002, "listening": 0.004}}``, seconds since the request arrived
403     wrong secret
409     this pod has been specialised already: take another
422     ``{"reason": "ImportFailed", "message": "…"}``: the code cannot run; the pod is spent
======  ==========================================================================================

Reasons: ``CodeUnavailable`` (could not be fetched), ``CodeInvalid`` (wrong digest, a path that
leaves the archive, over the limit, no entry point), ``ImportFailed``, ``ExitedEarly`` (ended before
it listened), ``NotListening`` (not within ``listen_timeout_s``), ``FailedMount`` (a volume cannot
be had), ``CreateContainerError`` (the node cannot give the pod its volumes or its user),
``CreateContainerConfigError`` (it asks for what cannot be).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

SPECIALISE_PATH = "/specialise"
SECRET_DIGEST_VARIABLE = "HEARTH_LOADER_SECRET_SHA256"
PRELOAD_VARIABLE = "HEARTH_PRELOAD"  #: comma-separated modules a warm pod has imported


@dataclass(frozen=True, slots=True)
class Package:
    """Where code is, and what it must hash to."""

    #: ``hearth:///namespaces/NS/packages/DIGEST`` (the platform's own code store), ``https:``,
    #: ``http:``, ``file:`` (archive or directory) or ``data:`` (one Python file, or a base64 zip).
    url: str
    digest: str = ""  #: ``sha256:<hex>``; may be empty for ``file:`` directories and ``data:``


NOBODY = 65532  #: who apps run as that must not be root and name no user; as in common base images


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the app runs as; what a ``securityContext`` says that a process can have."""

    user: int | None = None  #: None: the node agent's, or with ``not_root`` nobody's
    group: int | None = None  #: None: the user's own, as far as the node knows the user
    groups: tuple[int, ...] = ()  #: supplementary
    no_new_privileges: bool = False  #: ``allowPrivilegeEscalation: false``
    drops_rights: bool = False  #: ``capabilities.drop: [ALL]``
    not_root: bool = False  #: ``runAsNonRoot``

    def seen_by(self, own_user: int) -> Identity:
        """Whom a process of ``own_user`` becomes: a runtime has no user of its own to be."""
        nobody = self.not_root and self.user is None and own_user == 0
        return replace(self, user=NOBODY) if nobody else self

    def fault(self, own_user: int) -> str:
        """Why a process of ``own_user`` cannot become it; empty when it can."""
        if self.not_root and self.user == 0:
            return "container's runAsUser breaks non-root policy"
        if own_user != 0 and self.user not in (None, own_user):
            return f"runAsUser {self.user}: this node runs as user {own_user} and can be no other"
        return ""


@dataclass(frozen=True, slots=True)
class Specialisation:
    """What a warm pod becomes."""

    revision: str  #: ``namespace/name``
    code: Package
    layer: Package | None = None  #: dependencies, a tree to put on the import path
    command: tuple[str, ...] = ()  #: overrides the entry point found in the code
    args: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    port: int = 8080  #: where the app must listen, unless the node gave this pod another port
    working_dir: str = ""  #: relative to the code; empty: the code's root
    probe: dict[str, Any] | None = None  #: the container's readinessProbe; None: TCP on the port
    listen_timeout_s: float = 60.0
    identity: Identity = field(default_factory=Identity)
    mounts: bool = False  #: it has volumes: the node is asked where they are
    #: Metadata and spec of what a warm pod becomes, for the node; None: the pod's own.
    pod: dict[str, Any] | None = None

    def to_json(self) -> bytes:
        """Encode for the wire."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, body: bytes) -> Specialisation:
        """Decode; raises ``ValueError`` or ``TypeError`` when it is not one."""
        found = json.loads(body)
        layer = found.pop("layer", None)
        identity = found.pop("identity", {})
        identity["groups"] = tuple(identity.get("groups", ()))
        return cls(
            identity=Identity(**identity),
            code=Package(**found.pop("code")),
            layer=Package(**layer) if layer else None,
            command=tuple(found.pop("command", ())),
            args=tuple(found.pop("args", ())),
            **found,
        )
