"""New revisions and changes of scale of a container image, under load."""

from __future__ import annotations

import time

from hearth.api.kinds import POOLED_REPLICA_SET, SERVICE
from hearth.api.meta import status_of
from tests.system.boxes import IMAGE, needs_containers, ready
from tests.system.running import eventually

pytestmark = needs_containers
BY_HAND = {"autoscaling.knative.dev/class": "scaled.by/hand"}


def test_no_request_is_lost_though_the_app_is_deaf_to_sigterm(loaded, deployed, background):
    """knative/serving#15211: busybox as PID 1 does nothing about signals."""
    scale = {"autoscaling.knative.dev/initial-scale": "2"}
    spec = {"timeoutSeconds": 10}
    deployed("rolling", annotations={**BY_HAND, **scale}, spec=spec)
    ready(loaded, "rolling")

    def update(number):
        env = [{"name": "N", "value": str(number)}]
        container = {"name": "user-container", "image": IMAGE, "env": env}
        template = {"spec": {"containers": [container]}}
        patch = {"spec": {"template": template}}
        loaded.api(lambda client: client.patch(SERVICE, "default", "rolling", patch))
        revision = f"rolling-{number:05}"
        eventually(lambda: _serving(loaded) == revision, 30, f"{revision} serves")
        return revision

    def scaled(revision, replicas):
        patch = {"spec": {"replicas": replicas}}
        loaded.api(lambda client: client.patch(POOLED_REPLICA_SET, "default", revision, patch))
        time.sleep(1)

    with background("rolling", "/cgi-bin/slow?0.05", threads=6) as load:
        for number in (2, 3):
            revision = update(number)
            for replicas in (1, 3, 1, 2):
                scaled(revision, replicas)
    assert load.failed == []
    assert len(load.answers) > 300


def _serving(running):
    wire = running.api(lambda client: client.get(SERVICE, "default", "rolling"))
    traffic = status_of(wire).get("traffic") or [{}]
    return traffic[0].get("revisionName")
