"""TLS between the gateway and instances (``system-internal-tls``): names, and what a node needs.

Source: knative.dev/networking pkg/certificates/constants.go; knative.dev/serving pkg/networking.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hearth.api.meta import Wire, is_condition_true
from hearth.kit.x509 import Pair

TLS_PORT = 8112  #: of every pod: Knative's queue-proxy's
TLS_CONDITION = "hearth.dev/TLS"  #: of a pod: at that port TLS is answered for it
SERVING_CERTS = "serving-certs"  #: name of a namespace's Certificate, and of its Secret
_LEGACY_NAME = "data-plane.knative.dev"
_USER_PREFIX = "kn-user-"


def name_of_instances(namespace: str) -> str:
    """The name that instances of the namespace prove to have."""
    return f"{_USER_PREFIX}{namespace}"


def names_of_instances(namespace: str) -> list[str]:
    """What a namespace's certificate is for."""
    return [name_of_instances(namespace), _LEGACY_NAME]


def namespace_of_instances(name: str) -> str | None:
    """Whose instances have that name; None when it is none of theirs."""
    return name.removeprefix(_USER_PREFIX) if name.startswith(_USER_PREFIX) else None


def answers_tls(pod: Wire) -> bool:
    """Whether TLS is answered for the pod."""
    return is_condition_true(pod, TLS_CONDITION)


@dataclass(frozen=True, slots=True)
class Front:
    """Where TLS is ended for a pod."""

    pod: str  #: its UID
    namespace: str  #: whose certificate is shown
    ip: str  #: of the pod; TLS is answered at port :data:`TLS_PORT`
    port: int  #: where the app listens
    network: str  #: path of the pod's network namespace


class Terminator(Protocol):
    """Ends TLS for a node's pods, as the node sees it."""

    async def run(self) -> None:
        """Work until cancelled."""

    def put(self, front: Front) -> None:
        """Listen for the pod from now on, or as it is now."""

    def remove(self, pod: str) -> None:
        """Listen for the pod no more."""

    def certify(self, namespace: str, pair: Pair) -> None:
        """Answer for the namespace's pods with this certificate."""
