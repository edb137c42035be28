"""What a pod's status says of TLS in front of it: pure."""

from __future__ import annotations

from dataclasses import dataclass

from hearth.api.inside import SERVING_CERTS, TLS_CONDITION, TLS_PORT
from hearth.api.meta import Wire, is_condition_true, merge_conditions, status_of

#: Conditions that say that requests may be sent to the pod.
_READY = ("Ready", "ContainersReady")


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether TLS is answered for a pod, and if not, why."""

    answers: bool
    reason: str = ""
    message: str = ""


ANSWERS = Standing(True)
NOT_LISTENING = Standing(False, "NotListening", f"TLS is not answered at port {TLS_PORT} yet")
NO_CERTIFICATE = Standing(
    False, "NoCertificate", f"found no usable Secret {SERVING_CERTS} in the pod's namespace"
)
NO_NETWORK = Standing(
    False, "NoNetwork", "system-internal-tls: the pod has no network of its own to end TLS in"
)


def with_tls(status: Wire, pod: Wire, at: str, standing: Standing | None) -> Wire:
    """The status with what there is to say of TLS.

    A pod that has not been ready yet does not become it before TLS is answered for it. One that has
    been stays ready: the gateway goes by the condition.

    Args:
        status: what would be written.
        pod: as it is stored.
        at: now, RFC 3339.
        standing: whether TLS is answered for it; None when it is not asked for.
    """
    if standing is None:
        return status
    said: Wire = {"type": TLS_CONDITION, "status": "True" if standing.answers else "False"}
    if not standing.answers:
        said |= {"reason": standing.reason, "message": standing.message}
    conditions = [
        *status["conditions"],
        *merge_conditions(status_of(pod).get("conditions") or (), [said], at),
    ]
    if not standing.answers and not is_condition_true(pod, "Ready"):
        conditions = [_held_back(one, said) if one["type"] in _READY else one for one in conditions]
    return {**status, "conditions": conditions}


def _held_back(condition: Wire, said: Wire) -> Wire:
    if condition["status"] != "True":
        return condition
    return {**condition, "status": "False", "reason": said["reason"], "message": said["message"]}
