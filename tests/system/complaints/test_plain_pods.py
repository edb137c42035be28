"""A pod is the user's alone, and may have what Kubernetes' pods have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hearth.api.kinds import PERSISTENT_VOLUME_CLAIM
from hearth.api.meta import spec_of, status_of
from tests.system.boxes import IMAGE, needs_containers, pod_of, ready
from tests.system.running import processes_below

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
#: Which processes there are in its cgroup, if it has one, and its environment.
APP = """
import json, os, pathlib

def handle(request):
    if request.path == "/env":
        return dict(os.environ)
    return {"pid": os.getpid(), "cgroup": pathlib.Path("/proc/self/cgroup").read_text()}
"""


@needs_containers
def test_a_pod_of_an_image_has_no_container_of_ours(loaded, deployed):
    """knative/serving#7210, #9409, #7349: no sidecar to pay for, and none that throttles."""
    deployed("plain")
    ready(loaded, "plain")
    pod = pod_of(loaded, "plain")
    assert [one["name"] for one in spec_of(pod)["containers"]] == ["user-container"]
    assert len(status_of(pod)["containerStatuses"]) == 1
    assert not spec_of(pod)["containers"][0].get("resources")


@root
def test_a_pod_of_code_is_one_process(services):
    """knative/serving#7210: the app runs in the process that was warm."""
    services.deploy("single", {"app.py": APP}, min_scale=1)
    answer = services.running.call("single")
    groups = answer.body.decode()
    [pod] = services.pods("single")
    uid = pod["metadata"]["uid"]
    processes = [
        pid for pid in processes_below(services.running.process.pid) if uid in _cgroups_of(pid)
    ]
    assert len(processes) == 1, groups


def _cgroups_of(pid):
    try:
        return Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return ""


def test_no_variables_of_other_services_are_there(services):
    """knative/serving#9104: service links are off."""
    services.deploy("lonely", {"app.py": APP})
    said = services.running.call("lonely", "/env").body.decode()
    assert "_SERVICE_HOST" not in said
    assert "_PORT_80_TCP" not in said


@needs_containers
def test_claims_and_init_containers_are_allowed_as_they_are(loaded, deployed):
    """knative/serving#4417, #12046: an init container fills a claimed volume; no flag is needed."""
    claim = {
        "metadata": {"name": "shelf", "namespace": "default"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Mi"}},
        },
    }
    loaded.api(lambda client: client.create(PERSISTENT_VOLUME_CLAIM, claim))
    mount = [{"name": "shelf", "mountPath": "/data"}]
    write = "echo filled before > /data/book"
    spec = {
        "initContainers": [
            {
                "name": "fill",
                "image": IMAGE,
                "command": ["/bin/busybox", "sh", "-c", write],
                "volumeMounts": mount,
            }
        ],
        "volumes": [{"name": "shelf", "persistentVolumeClaim": {"claimName": "shelf"}}],
    }
    try:
        deployed("reader", spec=spec, volumeMounts=mount)
        ready(loaded, "reader")
        assert b"filled before" in loaded.call("reader", "/cgi-bin/about").body
    finally:
        loaded.hearth("delete", "reader", check=False)
        loaded.api(lambda client: client.delete(PERSISTENT_VOLUME_CLAIM, "default", "shelf"))
