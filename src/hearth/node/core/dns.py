"""The few DNS messages that a node reads and writes itself: pure.

What is not about the cluster's own names is passed on as it came, so only questions are read and
answers of one address written: less than a library's interface to it.

Source: RFC 1035; Kubernetes' DNS specification for the names.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from hearth.api.meta import Wire, namespace_of, spec_of
from hearth.api.names import CLUSTER_DOMAIN

NOERROR, FORMERR, SERVFAIL, NXDOMAIN = 0, 1, 2, 3
_A, _IN, _ANY = 1, 1, 255
_TTL_S = 5
_ROOT = CLUSTER_DOMAIN.removeprefix("svc.")
_SUFFIX = f".svc.{_ROOT}"
_NDOTS = "ndots:5"  #: Kubernetes': short names are looked for in the cluster first


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked."""

    name: str  #: lower case, without the last dot
    kind: int
    raw: bytes  #: as it came, to be repeated in the answer
    id: bytes
    recursion: bool


def parse_question(message: bytes) -> Question | None:
    """The one question of a query; None when it is not one."""
    if len(message) < 12:
        return None
    flags, count = struct.unpack("!HH", message[2:6])
    if flags & 0x8000 or count != 1:
        return None
    labels, at = [], 12
    while at < len(message) and (length := message[at]):
        if length > 63:
            return None
        labels.append(message[at + 1 : at + 1 + length].decode("latin-1").lower())
        at += 1 + length
    end = at + 5
    if end > len(message):
        return None
    kind = struct.unpack("!H", message[at + 1 : at + 3])[0]
    return Question(".".join(labels), kind, message[12:end], message[:2], bool(flags & 0x0100))


def answer(question: Question, code: int, address: str = "") -> bytes:
    """The response: ``address``, if one is asked for, or none and a code."""
    told = address and code == NOERROR and question.kind in (_A, _ANY)
    flags = 0x8400 | (0x0180 if question.recursion else 0) | code
    head = question.id + struct.pack("!HHHHH", flags, 1, 1 if told else 0, 0, 0)
    if not told:
        return head + question.raw
    data = ipaddress.IPv4Address(address).packed
    return head + question.raw + struct.pack("!HHHIH", 0xC00C, _A, _IN, _TTL_S, 4) + data


def local_name(name: str) -> tuple[str, str] | None:
    """Name and namespace of a ``NAME.NAMESPACE.svc.cluster.local``; None for another name."""
    labels = name.removesuffix(_SUFFIX).split(".")
    return (labels[0], labels[1]) if name.endswith(_SUFFIX) and len(labels) == 2 else None


def is_of_cluster(name: str) -> bool:
    """Whether nobody outside can know the name."""
    return name == _ROOT or name.endswith(f".{_ROOT}")


@dataclass(frozen=True, slots=True)
class Resolving:
    """A pod's ``resolv.conf``."""

    servers: Sequence[str] = ()
    searches: Sequence[str] = ()
    options: Sequence[str] = ()

    def text(self) -> str:
        """The file."""
        lines = [f"nameserver {server}" for server in self.servers]
        if self.searches:
            lines.append(f"search {' '.join(self.searches)}")
        if self.options:
            lines.append(f"options {' '.join(self.options)}")
        return "".join(f"{line}\n" for line in lines)


def resolving_of(pod: Wire, server: str) -> Resolving | None:
    """How the pod resolves names; None: as its machine does.

    Args:
        pod: its ``dnsPolicy`` and ``dnsConfig`` count.
        server: the node's own, for names of the cluster.
    """
    spec = spec_of(pod)
    policy, config = spec.get("dnsPolicy") or "ClusterFirst", spec.get("dnsConfig") or {}
    on_host = spec.get("hostNetwork") and policy != "ClusterFirstWithHostNet"
    if policy == "Default" or (on_host and policy != "None"):
        return None
    base = Resolving()
    if policy != "None":
        searches = (f"{namespace_of(pod)}{_SUFFIX}", _SUFFIX[1:], _ROOT)
        base = Resolving((server,), searches, (_NDOTS,))
    own = [
        f"{option['name']}:{option['value']}" if option.get("value") else str(option["name"])
        for option in config.get("options") or ()
    ]
    changed = {option.partition(":")[0] for option in own}
    kept = [option for option in base.options if option.partition(":")[0] not in changed]
    return Resolving(
        tuple(dict.fromkeys([*base.servers, *(config.get("nameservers") or ())])),
        tuple(dict.fromkeys([*base.searches, *(config.get("searches") or ())])),
        tuple([*kept, *own]),
    )
