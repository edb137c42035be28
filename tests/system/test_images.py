"""Services of container images, on a real containerd."""

from __future__ import annotations

import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest

from hearth.api.kinds import CONFIG_MAP, NODE, POD, REVISION, SECRET, SERVICE
from hearth.api.meta import condition_of, name_of, status_of
from hearth.node.cri.archives import image_archive
from hearth.node.cri.containerd import missing
from tests.system.running import eventually

BUSYBOX = Path(shutil.which("busybox") or "/bin/busybox")
IMAGE = "dev.local/box:1"
#: Answers with its environment, its user and what is mounted below /data.
SCRIPT = b"""#!/bin/busybox sh
echo "Content-Type: text/plain"
echo
echo "user $(/bin/busybox id -u)"
/bin/busybox env
/bin/busybox cat /data/* 2>/dev/null
"""


#: Fetches what its query names.
FETCH = b"""#!/bin/busybox sh
echo "Content-Type: text/plain"
echo
exec /bin/busybox wget -qO- "http://$QUERY_STRING/" 2>&1
"""


def _is_static(program: Path) -> bool:
    return b"/ld-linux" not in program.read_bytes()[:4096]


pytestmark = pytest.mark.skipif(
    bool(missing()) or not BUSYBOX.exists() or not _is_static(BUSYBOX),
    reason=f"{missing() or 'busybox-static is not installed'}: see make containers",
)


@pytest.fixture(scope="module")
def loaded(running, tmp_path_factory):
    """The platform, with the image."""
    archive = tmp_path_factory.mktemp("images") / "box.tar"
    files = {
        "bin/busybox": BUSYBOX.read_bytes(),
        "www/index.html": b"hello\n",
        "www/cgi-bin/about": SCRIPT,
        "www/cgi-bin/fetch": FETCH,
        "etc/passwd": b"root:x:0:0::/:\nnobody:x:65534:65534::/:\n",
    }
    serve = ["/bin/busybox", "httpd", "-f", "-v", "-p", "8080", "-h", "/www"]
    archive.write_bytes(image_archive(IMAGE, files, serve, Env=["FROM_IMAGE=yes"]))
    said = running.hearth("image", "load", str(archive)).stdout
    assert f"image {IMAGE} loaded into node" in said
    return running


@pytest.fixture
def deployed(loaded):
    """Makes Services that are gone after the test."""
    made: list[str] = []

    def deploy(name, *, annotations=None, spec=None, **container):
        wire = {
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "template": {
                    "metadata": {"annotations": annotations or {}},
                    "spec": {
                        "timeoutSeconds": 2,  # busybox as PID 1 is deaf to SIGTERM
                        "containers": [{"image": IMAGE, **container}],
                        **(spec or {}),
                    },
                }
            },
        }
        made.append(name)
        loaded.api(lambda client: client.create(SERVICE, wire))

    yield deploy
    for name in made:
        loaded.hearth("delete", name, check=False)


def ready(running, name):
    def is_ready():
        wire = running.api(lambda client: client.get(SERVICE, "default", name))
        return (condition_of(wire, "Ready") or {}).get("status") == "True"

    eventually(is_ready, 20, f"{name} is ready")


def why(running, name, reason):
    """The message of the revision's Ready condition, once it has that reason."""
    found = {}

    def has_reason():
        for wire in running.api(lambda client: client.list(REVISION, "default")).items:
            if name_of(wire) == f"{name}-00001":
                found.update(condition_of(wire, "Ready") or {})
        return found.get("reason") == reason

    eventually(has_reason, 20, f"{name} says {reason}")
    return found["message"]


def pod_of(running, name):
    selector = f"serving.knative.dev/service={name}"
    pods = running.api(lambda client: client.list(POD, "default", label_selector=selector))
    [pod] = pods.items
    return pod


def test_an_image_serves_and_comes_back_from_zero(loaded, deployed):
    deployed("box", annotations={"autoscaling.knative.dev/initial-scale": "0"})
    ready(loaded, "box")
    answer = loaded.call("box")
    assert (answer.status, answer.body) == (200, b"hello\n")
    status = status_of(pod_of(loaded, "box"))
    assert status["containerStatuses"][0]["imageID"]
    assert status["podIP"] != "127.0.0.1"


@pytest.mark.parametrize("limit", [pytest.param(0, id="any"), pytest.param(1, id="limited")])
def test_a_cold_start_of_an_image_is_told_by_phase(loaded, deployed, limit):
    name = f"timed{limit}"
    zero = {"autoscaling.knative.dev/initial-scale": "0"}
    deployed(name, annotations=zero, spec={"containerConcurrency": limit})
    ready(loaded, name)
    answer = loaded.call(name, headers={"hearth-timing": "1"})
    said = (part.strip().split(";dur=") for part in answer.headers["server-timing"].split(","))
    phases = {phase: float(ms) for phase, ms in said}
    assert 0 < phases["claimed"] < phases["injected"] <= phases["listening"] <= phases["released"]

    def counted():
        with urllib.request.urlopen(loaded.ready["metrics"], timeout=10) as response:
            text = response.read().decode()
        return re.search(r'cold_start_seconds_count{outcome="ok",source="image"} [1-9]', text)

    eventually(counted, 10, "it is counted as an image's")


def test_images_are_listed(loaded):
    assert IMAGE in loaded.hearth("image", "list").stdout
    [node] = loaded.api(lambda client: client.list(NODE)).items
    assert any(IMAGE in image["names"] for image in status_of(node)["images"])


def test_a_container_has_the_runtime_contracts_environment(loaded, deployed):
    config = {"metadata": {"name": "said", "namespace": "default"}, "data": {"word": "mounted\n"}}
    loaded.api(lambda client: client.create(CONFIG_MAP, config))
    deployed(
        "about",
        env=[{"name": "MINE", "value": "also $(K_SERVICE)"}],
        securityContext={"runAsUser": 65534},
        volumeMounts=[{"name": "data", "mountPath": "/data"}],
        spec={"volumes": [{"name": "data", "configMap": {"name": "said"}}]},
    )
    ready(loaded, "about")
    said = loaded.call("about", path="/cgi-bin/about").body.decode().splitlines()
    expected = ["user 65534", "PORT=8080", "K_SERVICE=about", "K_REVISION=about-00001"]
    expected += ["K_CONFIGURATION=about", "FROM_IMAGE=yes", "mounted"]
    assert set(expected) <= set(said)


def test_a_missing_image_is_named(loaded, deployed):
    deployed("absent", image="dev.local/absent:1")
    assert "dev.local/absent:1" in why(loaded, "absent", "ContainerMissing")


def test_a_missing_secret_is_named(loaded, deployed):
    reference = {"secretKeyRef": {"name": "absent", "key": "word"}}
    deployed("secretless", env=[{"name": "WORD", "valueFrom": reference}])
    assert 'secret "absent" not found' in why(loaded, "secretless", "CreateContainerConfigError")
    secret = {"metadata": {"name": "absent", "namespace": "default"}, "stringData": {"word": "x"}}
    loaded.api(lambda client: client.create(SECRET, secret))
    ready(loaded, "secretless")


def test_a_container_that_ends_leaves_its_words(loaded, deployed):
    command = ["/bin/busybox", "sh", "-c", "echo the table is missing; exit 3"]
    deployed("crash", command=command)
    assert "the table is missing" in why(loaded, "crash", "ExitCode3")


def test_containers_of_a_pod_share_its_network(loaded, deployed):
    fetch = "until /bin/busybox wget -qO- http://127.0.0.1:8080/ > /shared/seen; do :; done"
    sleep = "exec /bin/busybox sleep 1000"
    wire_spec = {
        "containers": [
            {
                "image": IMAGE,
                "name": "app",
                "ports": [{"containerPort": 8080}],
                "volumeMounts": [{"name": "shared", "mountPath": "/data"}],
            },
            {
                "image": IMAGE,
                "name": "beside",
                "command": ["/bin/busybox", "sh", "-c", f"{fetch}; {sleep}"],
                "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
            },
        ],
        "volumes": [{"name": "shared", "emptyDir": {}}],
    }
    deployed("pair", spec=wire_spec)
    ready(loaded, "pair")

    def seen():
        return b"hello" in loaded.call("pair", path="/cgi-bin/about").body

    eventually(seen, 10, "the container beside has fetched from the app")


def test_the_log_of_a_container_is_read(loaded, deployed):
    command = ["/bin/busybox", "sh", "-c", "echo begun; exec busybox httpd -f -p 8080 -h /www"]
    deployed("talker", command=command, env=[{"name": "PATH", "value": "/bin"}])
    ready(loaded, "talker")
    assert "begun" in loaded.hearth("logs", "talker").stdout


def test_nothing_is_left_of_a_deleted_service(loaded, deployed):
    deployed("brief")
    ready(loaded, "brief")
    pod = name_of(pod_of(loaded, "brief"))
    loaded.api(lambda client: client.delete(SERVICE, "default", "brief"))

    def gone():
        pods = loaded.api(lambda client: client.list(POD, "default")).items
        return pod not in {name_of(each) for each in pods}

    eventually(gone, 30, "the pod is gone")
    shims = subprocess.run(["pgrep", "-fa", pod], capture_output=True, text=True, check=False)
    assert not shims.stdout


def test_a_service_reaches_another_that_is_at_zero_by_its_names(loaded, deployed):
    deployed("front")
    deployed("back", annotations={"autoscaling.knative.dev/initial-scale": "0"})
    ready(loaded, "front")
    ready(loaded, "back")
    for name in ("back.default.svc.cluster.local", "back.default.svc", "back.default"):
        answer = loaded.call("front", f"/cgi-bin/fetch?{name}")
        assert answer.body == b"hello\n", (name, answer.body)
    assert b"bad address" in loaded.call("front", "/cgi-bin/fetch?nobody.default").body
