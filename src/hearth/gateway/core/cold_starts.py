"""How long each phase of a cold start took. Pure.

``held``: until an instance was asked for, and the way of that question and of its answer;
``claimed``: until a pod was reserved or created; ``injected``: until it had the code, or its
container ran; ``listening``: until the app answered; ``released``: until the request was let go;
``first_byte``: until its answer began.
"""

from __future__ import annotations

from collections.abc import Mapping

OF_ACTIVATION = ("claimed", "injected", "listening")  #: those that an activation tells
PHASES = ("held", *OF_ACTIVATION, "released", "first_byte")


def durations(answered_s: float, phases_s: Mapping[str, float]) -> dict[str, float]:
    """How long each phase took until the activation answered.

    Args:
        answered_s: when that was, in seconds after the first request came.
        phases_s: when each phase ended, as ``hearth.api.activation.Activation`` says it.
    """
    told = {phase: phases_s[phase] for phase in OF_ACTIVATION if phase in phases_s}
    found = {"held": max(0.0, answered_s - max(told.values(), default=0.0))}
    before_s = 0.0
    for phase, at_s in told.items():
        found[phase] = max(0.0, at_s - before_s)
        before_s = at_s
    return found
