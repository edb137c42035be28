"""One pod's life as a machine.

::

    new ──start──▶ starting ──Warm/Listening──▶ running ──Exited──▶ waiting (back-off) ──▶ starting
                      │                            │            └──▶ ended (restartPolicy)
                      └──────Exited/Failed─────────┴─ Delete ──▶ draining ─▶ stopping ──▶ gone

The machine is fed with what happened and answers with what to do; the agent does it.

Source: Kubernetes' pod lifecycle (kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias, assert_never

BACKOFF_FIRST_S = 10.0  #: kubelet's: doubles up to
BACKOFF_MAX_S = 300.0
BACKOFF_RESET_S = 600.0  #: a run of this length makes the next back-off the first again
LAST_WORDS_S = 2.0  #: between SIGTERM and SIGKILL, however long the drain took (kubelet's)

# Events


@dataclass(frozen=True, slots=True)
class Asked:
    """The pod is on this node and not started."""


@dataclass(frozen=True, slots=True)
class Refused:
    """This node cannot run it: ever, or as things are, when it was about to start."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Placed:
    """Its process runs."""

    at_s: float


@dataclass(frozen=True, slots=True)
class BecameReady:
    """It answers: a warm pod's loader, or an app."""


@dataclass(frozen=True, slots=True)
class LostReadiness:
    """Its readiness probe fails."""


@dataclass(frozen=True, slots=True)
class Exited:
    """Its process ended."""

    at_s: float
    code: int
    reason: str  #: Error, Completed or OOMKilled
    message: str  #: the last lines of output, or why it failed


@dataclass(frozen=True, slots=True)
class BackoffOver:
    """It may be started again."""


@dataclass(frozen=True, slots=True)
class Delete:
    """It was deleted; ``grace_s`` may shrink when asked again."""

    grace_s: float
    routed: bool  #: requests may be on their way to it


@dataclass(frozen=True, slots=True)
class DrainOver:
    """Routing has let go of it, and its requests have ended or had their time."""


@dataclass(frozen=True, slots=True)
class GraceOver:
    """It had its time."""


Event: TypeAlias = (
    Asked | Refused | Placed | BecameReady | LostReadiness | Exited | BackoffOver | Delete
    | DrainOver | GraceOver
)  # fmt: skip

# Effects


@dataclass(frozen=True, slots=True)
class Start:
    """Run its process."""


@dataclass(frozen=True, slots=True)
class Report:
    """Its status changed."""


@dataclass(frozen=True, slots=True)
class Terminate:
    """Ask it to end (SIGTERM)."""


@dataclass(frozen=True, slots=True)
class Kill:
    """End it (SIGKILL), whatever it has started too."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Feed ``DrainOver`` when no request is left, after ``least_s`` to ``most_s``."""

    least_s: float
    most_s: float


@dataclass(frozen=True, slots=True)
class Later:
    """Feed ``event`` after a while."""

    after_s: float
    event: Event


@dataclass(frozen=True, slots=True)
class Forget:
    """Nothing of it is left: remove the object."""


Effect: TypeAlias = Start | Report | Terminate | Kill | Drain | Later | Forget


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of the container ended."""

    code: int
    reason: str
    message: str
    started_s: float
    ended_s: float


@dataclass(slots=True)
class PodMachine:
    """The state of one pod; changed by :meth:`on` alone."""

    restart_policy: str  #: Always, OnFailure or Never
    drain_s: float
    state: str = "new"  #: new, starting, running, waiting, ended, draining, stopping or gone
    ready: bool = False
    restarts: int = 0
    waiting_reason: str = ""
    waiting_message: str = ""
    started_s: float = 0.0
    last: Ended | None = None
    pause_s: float = 0.0  #: before the run that it waits for
    _backoff_s: float = field(default=BACKOFF_FIRST_S)
    _has_process: bool = False

    def on(self, event: Event) -> list[Effect]:
        """Apply one event and return what must now be done, in order."""
        if self.state == "gone":
            return []
        match event:
            case Asked() | BackoffOver():
                return self._start()
            case Refused(reason, message):
                return self._refuse(reason, message)
            case Placed(at_s):
                self._has_process, self.started_s = True, at_s
                return [Kill()] if self.state == "stopping" else []
            case BecameReady():
                return self._set_ready(True)
            case LostReadiness():
                return self._set_ready(False)
            case Exited():
                return self._exited(event)
            case Delete(grace_s, routed):
                return self._delete(grace_s, routed)
            case DrainOver():
                return self._terminate()
            case GraceOver():
                return [Kill()] if self._has_process else []
            case _:
                assert_never(event)

    def check(self) -> None:
        """Assert the invariants."""
        assert not self.ready or self.state in ("running", "draining"), self
        assert self.state != "gone" or not self._has_process, self

    def _start(self) -> list[Effect]:
        if self.state not in ("new", "waiting"):
            return []
        self.state, self.waiting_reason, self.waiting_message = "starting", "", ""
        return [Start()]

    def _refuse(self, reason: str, message: str) -> list[Effect]:
        if self.state not in ("new", "starting") or self._has_process:
            return []
        again = [Later(BACKOFF_FIRST_S, BackoffOver())] if self.state == "starting" else []
        self.state, self.waiting_reason, self.waiting_message = "waiting", reason, message
        return [Report(), *again]

    def _set_ready(self, ready: bool) -> list[Effect]:
        if self.state == "starting" and ready:
            self.state = "running"
        if self.state != "running" or self.ready == ready:
            return []
        self.ready = ready
        return [Report()]

    def _exited(self, event: Exited) -> list[Effect]:
        self.ready, self._has_process = False, False
        self.last = Ended(event.code, event.reason, event.message, self.started_s, event.at_s)
        if self.state in ("draining", "stopping"):
            self.state = "gone"
            return [Kill(), Forget()]
        if not self._restarts_after(event.code):
            self.state = "ended"
            return [Kill(), Report()]
        if event.at_s - self.started_s > BACKOFF_RESET_S:
            self._backoff_s = BACKOFF_FIRST_S
        self.pause_s = pause_s = self._backoff_s if self.restarts else 0.0
        if self.restarts:
            self._backoff_s = min(BACKOFF_MAX_S, self._backoff_s * 2)
        self.restarts += 1
        self.state, self.waiting_reason = "waiting", "CrashLoopBackOff"
        self.waiting_message = f"back-off {_written(pause_s)} restarting failed container"
        return [Kill(), Report(), Later(pause_s, BackoffOver())]

    def _restarts_after(self, code: int) -> bool:
        return self.restart_policy == "Always" or (self.restart_policy == "OnFailure" and code != 0)

    def _delete(self, grace_s: float, routed: bool) -> list[Effect]:
        if self.state in ("draining", "stopping"):
            return [Later(grace_s, GraceOver())]
        if not self._has_process and self.state != "starting":
            self.state, self.ready = "gone", False
            return [Forget()]
        drains = routed and self.ready and grace_s > 0
        self.state, self.ready = "draining", False
        if not drains:
            return [Later(0.0, DrainOver()), Later(grace_s, GraceOver())]
        over_s = self.drain_s + grace_s + LAST_WORDS_S
        return [Drain(self.drain_s, self.drain_s + grace_s), Later(over_s, GraceOver())]

    def _terminate(self) -> list[Effect]:
        if self.state != "draining":
            return []
        self.state = "stopping"
        return [Terminate()] if self._has_process else []


def _written(seconds: float) -> str:
    """As Go writes a duration: ``10s``, ``1m20s``."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
