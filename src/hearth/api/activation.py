"""What the gateway and a shard's autoscaler say to each other: pure, and the same on the wire.

``POST /v1/activate`` takes an :class:`ActivateRequest` and answers with an :class:`Activation`, or
with an :class:`ActivationFailure` and its ``status`` as the HTTP status. ``POST /v1/stats`` takes a
:class:`StatReport` and answers 204. Both are JSON, camelCase.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from hearth.api.meta import ROOT, ObjectKey


class Message(msgspec.Struct, frozen=True, rename="camel"):
    """Base of all messages."""


class ActivateRequest(Message, frozen=True):
    """Requests are held for a revision that has no instance."""

    namespace: str
    revision: str
    tenant: str = ROOT
    held: int = 1  #: requests held for it just now

    @property
    def key(self) -> ObjectKey:
        """The revision's key."""
        return ObjectKey(self.tenant, self.namespace, self.revision)


class Activation(Message, frozen=True):
    """An instance that answers now, and how it came to be."""

    pod: str  #: ``namespace/name``
    address: str  #: ``ip:port`` of the app
    #: seconds after the request reached the autoscaler at which each phase ended, in order:
    #: ``claimed`` (a pod is reserved or created), ``injected`` (the loader took the code),
    #: ``listening`` (the app answers). Empty when an instance was there already.
    phases_s: dict[str, float] = {}
    source: str = "ready"  #: ``ready`` (was there), ``pool`` (claimed), ``new`` (fallback pod)


class ActivationFailure(Message, frozen=True):
    """Why there is no instance, in words for the caller of the app."""

    status: int  #: HTTP status for the held requests, e.g. 503, 504
    reason: str  #: CamelCase, e.g. ``CodeInvalid``, ``ExitedEarly``, ``NoCapacity``
    message: str


class ActivationError(Exception):
    """No instance could be had; carries what to answer."""

    def __init__(self, failure: ActivationFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class RevisionStat(Message, frozen=True):
    """What one gateway saw of one revision in one interval."""

    namespace: str
    revision: str
    tenant: str = ROOT
    in_flight: float = 0.0  #: requests in flight at its instances, now
    held: float = 0.0  #: requests held because there is no instance
    requests: int = 0  #: requests that began in the interval
    busy: dict[str, int] = {}  #: requests in flight by instance (``ip:port``); no others have any


class StatReport(Message, frozen=True):
    """One gateway's figures; a revision that is not in it has none."""

    gateway: str  #: unique name of the reporting gateway
    interval_s: float
    stats: list[RevisionStat]


class Autoscaler(Protocol):
    """A shard's autoscaler, as the gateway sees it: in process or over HTTPS."""

    async def activate(self, request: ActivateRequest) -> Activation:
        """Make sure that the revision has an instance and return one.

        Raises:
            ActivationError: there can be none.
            ConnectionError: the autoscaler could not be reached.
        """
        ...

    async def report(self, report: StatReport) -> None:
        """Take in what a gateway saw.

        Raises:
            ConnectionError: the autoscaler could not be reached.
        """
        ...


class Instances(Protocol):
    """Whoever can make instances of a revision at once: the pool, as the autoscaler sees it."""

    async def ensure(self, key: ObjectKey, replicas: int) -> Activation:
        """Give the revision at least ``replicas`` instances, and return the first that is ready.

        Single-flight per revision: instances in the middle of becoming ready are counted.

        Raises:
            ActivationError: no instance could be made.
        """
        ...
