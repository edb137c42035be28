"""Whether a node still says that it is there: pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from hearth.api.meta import Wire, condition_of

STALE_S = 40.0  #: Kubernetes' node-monitor-grace-period; an agent says it every 10 s


def is_stale(node: Wire, now: datetime) -> bool:
    """Whether the node says that it is Ready and has not said so for too long."""
    ready = condition_of(node, "Ready")
    if ready is None or ready.get("status") != "True" or not ready.get("lastHeartbeatTime"):
        return False
    said = datetime.fromisoformat(str(ready["lastHeartbeatTime"]).replace("Z", "+00:00"))
    return now - said > timedelta(seconds=STALE_S)
