"""Services that cannot run: each with Knative's reason and words in its revision's status.

Others are where their subject is: a registry's (``test_registry``), quotas (``test_apps_with_pod_
features``), init containers and probes (``test_running``), waking up (``test_waking``).
"""

from __future__ import annotations

import time
from urllib.parse import quote

import pytest

from hearth.api.errors import Invalid, NotFound
from hearth.api.kinds import REVISION, SERVICE
from hearth.api.names import PYTHON_RUNTIME_IMAGE
from tests.system.boxes import needs_containers, why

NOWHERE = {"configMapKeyRef": {"name": "nope", "key": "k"}}


@pytest.fixture
def made(running):
    """Makes Services of code that are gone after the test."""
    names = []

    def make(name, text="def handle(request):\n    return 'here'\n", *, spec=None, **container):
        annotations = {"hearth.dev/code": f"data:text/x-python,{quote(text)}"}
        image = {"image": PYTHON_RUNTIME_IMAGE, **container}
        template = {
            "metadata": {"annotations": annotations},
            "spec": {"containers": [image], **(spec or {})},
        }
        meta = {"name": name, "namespace": "default"}
        names.append(name)
        wire = {"metadata": meta, "spec": {"template": template}}
        running.api(lambda client: client.create(SERVICE, wire))

    yield make
    for name in names:
        running.hearth("delete", name, check=False)


def test_a_wrong_image_name_is_refused(made):
    with pytest.raises(Invalid, match="could not parse reference: No/Such"):
        made("wrong-name", image="No/Such:::")


@needs_containers
@pytest.mark.parametrize(
    ("container", "reason", "said"),
    [
        pytest.param(
            {"command": ["/bin/sh", "-c", "echo no database; exit 1"]},
            "ExitCode1",
            "Container failed with: no database",
            id="crash",
        ),
        pytest.param(
            {"command": ["/bin/busybox", "true"]},
            "ExitCode0",
            "Container failed with: container exited with no error",
            id="ends",
        ),
        pytest.param({"command": ["/bin/none"]}, "ExitCode128", "/bin/none", id="no-program"),
        pytest.param(
            {"env": [{"name": "A", "valueFrom": NOWHERE}]},
            "CreateContainerConfigError",
            'configmap "nope" not found',
            id="config-map",
        ),
        pytest.param(
            {"resources": {"requests": {"cpu": "1000"}}},
            "Unschedulable",
            "0/1 nodes are available: 1 Insufficient cpu.",
            id="no-room",
        ),
    ],
)
def test_why_a_container_does_not_run_is_told(loaded, deployed, request, container, reason, said):
    name = f"bad-{request.node.callspec.id}"
    deployed(name, **container)
    assert said in why(loaded, name, reason)
    assert loaded.call(name).status == 404


def test_a_missing_config_map_of_a_volume_is_told(running, made):
    volume = {"name": "v", "configMap": {"name": "nope"}}
    mount = {"name": "v", "mountPath": "/x"}
    made("no-volume", volumeMounts=[mount], spec={"volumes": [volume]})
    said = why(running, "no-volume", "FailedMount")
    assert said == 'MountVolume.SetUp failed for volume "v" : configmap "nope" not found'


def test_a_service_whose_readiness_probe_fails_is_never_ready(running, made):
    probe = {"httpGet": {"path": "/health"}, "periodSeconds": 1, "failureThreshold": 1}
    made("never", "def handle(request):\n    return 'no', 500\n", readinessProbe=probe)
    ends = time.monotonic() + 8
    while time.monotonic() < ends:
        for kind, name in ((SERVICE, "never"), (REVISION, "never-00001")):
            try:
                ready = running.condition(kind, name, "Ready")
            except NotFound:  # the revision is not there yet
                continue
            assert ready.get("status") != "True"
        assert running.call("never").status == 404
        time.sleep(0.2)
