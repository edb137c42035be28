"""Services of container images, on a real containerd."""

from __future__ import annotations

import re
import subprocess
import urllib.request

import pytest

from hearth.api.kinds import CONFIG_MAP, NODE, POD, SECRET, SERVICE
from hearth.api.meta import name_of, status_of
from tests.system.boxes import IMAGE, needs_containers, pod_of, ready, why
from tests.system.running import eventually

pytestmark = needs_containers


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
