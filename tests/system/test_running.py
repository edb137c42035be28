"""What the containers of a Service find where they run, and how they begin and end."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from hearth.api.kinds import (
    CORE_EVENT,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    RUNTIME_CLASS,
    SERVICE,
)
from hearth.api.meta import name_of, status_of
from hearth.node.cri.containerd import installed_handlers
from tests.system.boxes import IMAGE, box, needs_containers, pod_of, ready, why
from tests.system.running import eventually, up

pytestmark = needs_containers
ZERO = {"autoscaling.knative.dev/initial-scale": "0"}


def shell(script):
    return ["/bin/busybox", "sh", "-c", script]


def page(script):
    """A command that serves what a script says."""
    serve = "mkdir -p /tmp/w && cd /tmp/w && (SCRIPT) > index.html 2>&1; exec httpd -f -p 8080 -h ."
    for name in ("mkdir", "cat", "grep", "httpd", "touch", "id"):
        serve = serve.replace(f"{name} ", f"/bin/busybox {name} ")
        script = script.replace(f"{name} ", f"/bin/busybox {name} ")
    return shell(serve.replace("SCRIPT", script))


def test_limits_are_the_ones_of_the_spec(loaded, deployed):
    v1 = "/sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us"
    v2 = "/sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max"
    limits = {"limits": {"memory": "64Mi", "cpu": "500m"}}
    deployed("limited", command=page(f"cat {v1} || cat {v2}"), resources=limits)
    ready(loaded, "limited")
    said = loaded.call("limited").body.decode().split()
    assert said[:2] == ["67108864", "50000"]


def test_a_container_has_only_the_rights_that_its_spec_leaves(loaded, deployed):
    context = {
        "runAsUser": 65534,
        "runAsNonRoot": True,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    look = "id ; touch /x; grep -E 'CapBnd|NoNewPrivs|Seccomp:' /proc/self/status"
    deployed(
        "narrow",
        command=page(look),
        securityContext=context,
        volumeMounts=[{"name": "t", "mountPath": "/tmp"}],
        spec={"volumes": [{"name": "t", "emptyDir": {}}]},
    )
    ready(loaded, "narrow")
    said = loaded.call("narrow").body.decode()
    assert "uid=65534(nobody)" in said
    assert "Read-only file system" in said
    assert "0000000000000400" in said.split("CapBnd:")[1].split("\n")[0]
    assert said.split("NoNewPrivs:")[1].split()[0] == "1"
    assert said.split("Seccomp:")[1].split()[0] == "2"


def test_a_pod_may_set_the_kernels_values_that_are_its_own(loaded, deployed):
    value = {"name": "net.ipv4.ip_local_port_range", "value": "20000 20099"}
    look = "cat /proc/sys/net/ipv4/ip_local_port_range"
    deployed("tuned", command=page(look), spec={"securityContext": {"sysctls": [value]}})
    ready(loaded, "tuned")
    assert loaded.call("tuned").body.split() == [b"20000", b"20099"]


MOUNT = {"volumeMounts": [{"name": "v", "mountPath": "/data"}]}


def test_init_containers_run_one_after_the_other(loaded, deployed):
    inits = [
        {"name": name, "image": IMAGE, "command": shell(f"echo {name} >> /data/order"), **MOUNT}
        for name in ("first", "second")
    ]
    spec = {"initContainers": inits, "volumes": [{"name": "v", "emptyDir": {}}]}
    deployed("ordered", spec=spec, **MOUNT)
    ready(loaded, "ordered")
    assert b"first\nsecond\n" in loaded.call("ordered", "/cgi-bin/about").body


def test_an_init_container_that_fails_is_told_with_its_words(loaded, deployed):
    command = shell("echo the database is away; exit 4")
    inits = [{"name": "migrate", "image": IMAGE, "command": command}]
    deployed("stuck", spec={"initContainers": inits}, annotations=ZERO)
    ready(loaded, "stuck")
    answer = loaded.call("stuck", timeout_s=20)
    assert (answer.status, b"the database is away" in answer.body) == (503, True)
    assert "the database is away" in why(loaded, "stuck", "ExitCode4")


def test_every_containers_probes_count(loaded, deployed):
    """The one beside is not ready before its file is there, and is restarted when it is gone."""
    beside = {
        "name": "beside",
        "image": IMAGE,
        "command": shell("while true; do /bin/busybox sleep 1; done"),
        "readinessProbe": {
            "exec": {"command": shell("test -f /data/ready")},
            "periodSeconds": 1,
            "failureThreshold": 1,
        },
        **MOUNT,
    }
    app = {"image": IMAGE, "name": "app", "ports": [{"containerPort": 8080}], **MOUNT}
    app["command"] = page("echo up")
    volumes = [{"name": "v", "emptyDir": {}}]
    deployed("paired", spec={"containers": [app, beside], "volumes": volumes})
    pod = eventually(lambda: _running(loaded, "paired", 2), 20, "both containers run")
    states = {c["name"]: c["ready"] for c in status_of(pod)["containerStatuses"]}
    assert states == {"app": True, "beside": False}
    assert not _is_ready(loaded, "paired")
    where = ["exec", name_of(pod), "-c", "beside", "--"]
    _kubectl(loaded, *where, *shell("echo > /data/ready"))
    ready(loaded, "paired")


def _running(running, name, count):
    for pod in _pods(running, name):
        states = [
            c for c in status_of(pod).get("containerStatuses") or () if "running" in c["state"]
        ]
        if len(states) == count and any(c["ready"] for c in states):
            return pod
    return None


def _pods(running, name):
    chosen = {"label_selector": f"serving.knative.dev/service={name}"}
    return running.api(lambda client: client.list(POD, "default", **chosen)).items


def _is_ready(running, name):
    return _ready_of(running, name).get("status") == "True"


def _ready_of(running, name):
    return running.condition(SERVICE, name, "Ready")


def _kubectl(running, *arguments):
    environ = {**os.environ, "KUBECONFIG": running.ready["kubeconfig"]}
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not here")
    done = subprocess.run(
        [program, *arguments], env=environ, capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_container_is_asked_to_end_and_may_clean_up(loaded, deployed):
    claim = {
        "metadata": {"name": "diary", "namespace": "default"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Mi"}},
        },
    }
    loaded.api(lambda client: client.create(PERSISTENT_VOLUME_CLAIM, claim))
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "diary"}}]
    serve = "/bin/busybox httpd -f -p 8080 -h /data & wait"
    trap = "trap 'echo good bye > /data/index.html; exit 0' TERM"
    spec = {"volumes": volumes, "timeoutSeconds": 20}
    try:
        deployed("polite", command=shell(f"{trap}; {serve}"), spec=spec, **MOUNT)
        ready(loaded, "polite")
        loaded.hearth("delete", "polite")
        eventually(lambda: not _pods(loaded, "polite"), 10, "it ended before its time was over")
        deployed("reader", spec={"volumes": volumes}, command=shell(serve), **MOUNT)
        ready(loaded, "reader")
        assert loaded.call("reader").body == b"good bye\n"
    finally:
        loaded.hearth("delete", "reader", check=False)
        loaded.api(lambda client: client.delete(PERSISTENT_VOLUME_CLAIM, "default", "diary"))


@pytest.mark.parametrize("where", ["/junk", "/data/junk"], ids=["layer", "volume"])
def test_a_pod_that_takes_too_much_disk_is_evicted_and_replaced(loaded, deployed, where):
    name = "hungry" if where == "/junk" else "hungry-volume"
    limits = {"limits": {"ephemeral-storage": "1Mi"}} if where == "/junk" else {}
    volume = {"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}
    script = f"/bin/busybox sleep 2; /bin/busybox dd if=/dev/zero of={where} bs=1M count=4"
    serve = "exec /bin/busybox httpd -f -p 8080 -h /www"
    deployed(
        name,
        command=shell(f"({script}) & {serve}"),
        resources=limits,
        annotations={"autoscaling.knative.dev/min-scale": "1"},
        spec={"volumes": [volume]},
        **MOUNT,
    )
    ready(loaded, name)
    first = name_of(pod_of(loaded, name))

    def evicted():
        events = loaded.api(lambda client: client.list(CORE_EVENT, "default")).items
        about = [e for e in events if (e.get("involvedObject") or {}).get("name") == first]
        return [e["message"] for e in about if e["reason"] == "Evicted"]

    [said] = eventually(evicted, 60, "the pod was evicted")
    exceeded = 'exceeded its local ephemeral storage limit "1Mi"'
    assert said.strip() in {
        f"Container user-container {exceeded}.",
        'Usage of EmptyDir volume "v" exceeds the limit "1Mi".',
    }
    eventually(lambda: first not in map(name_of, _pods(loaded, name)), 20, "it is replaced")


@pytest.fixture
def runtime_class(loaded):
    """Makes RuntimeClasses that are gone after the test."""
    made = []

    def make(name, handler):
        wire = {"metadata": {"name": name}, "handler": handler}
        loaded.api(lambda client: client.create(RUNTIME_CLASS, wire))
        made.append(name)
        return {"runtimeClassName": name}

    yield make
    for name in made:
        loaded.api(lambda client, name=name: client.delete(RUNTIME_CLASS, "", name))


def test_a_runtime_class_picks_its_handler(loaded, deployed, runtime_class):
    handler = installed_handlers()[0]
    deployed("classy", spec=runtime_class("ordinary", handler))
    ready(loaded, "classy")
    assert loaded.call("classy").body == b"hello\n"


@pytest.mark.skipif("crun" not in installed_handlers()[1:], reason="crun is not installed too")
def test_another_handler_runs_a_service_or_says_why_it_cannot(loaded, deployed, runtime_class):
    """It cannot where cgroups are of both versions."""
    deployed("other", spec=runtime_class("other", "crun"))
    eventually(lambda: _ready_of(loaded, "other").get("status") != "Unknown", 30, "it is decided")
    if _is_ready(loaded, "other"):
        assert loaded.call("other").body == b"hello\n"
    else:
        assert "cgroups in hybrid mode" in why(loaded, "other", "CreatePodSandboxError")


@pytest.mark.parametrize(
    ("name", "handler", "said"),
    [
        pytest.param("absent", "", 'RuntimeClass "absent" not found', id="no-class"),
        pytest.param("foreign", "foreign", 'handler "foreign" is not installed on node',
                     id="no-handler"),
        pytest.param("hard", "kata", "containerd-shim-kata-v2 is not in PATH", id="no-shim"),
    ],
)  # fmt: skip
def test_a_runtime_class_that_cannot_be_had_is_told_at_once(
    loaded, deployed, runtime_class, name, handler, said
):
    spec = runtime_class(name, handler) if handler else {"runtimeClassName": name}
    deployed(f"class-{name}", spec=spec)
    assert said in why(loaded, f"class-{name}", "CreatePodSandboxError")
    events = loaded.api(lambda client: client.list(CORE_EVENT, "default")).items
    assert any(e["reason"] == "FailedCreatePodSandBox" and said in e["message"] for e in events)


@pytest.mark.skipif("runsc" not in installed_handlers(), reason="gVisor's shim is not installed")
def test_gvisor_runs_a_service(loaded, deployed, runtime_class):
    look = "cat /proc/version"
    deployed("guarded", command=page(look), spec=runtime_class("gvisor", "runsc"))
    ready(loaded, "guarded")
    assert b"4.4.0" in loaded.call("guarded").body  # what gVisor says it is


def oci_layout(docker, name):
    """A docker archive as an archive of OCI's image layout."""
    blobs = {}

    def blob(content, kind):
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    with tarfile.open(fileobj=io.BytesIO(docker)) as tar:
        config, layer = (tar.extractfile(n).read() for n in ("config.json", "layer.tar"))
    image = "application/vnd.oci.image"
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{image}.manifest.v1+json",
        "config": blob(config, f"{image}.config.v1+json"),
        "layers": [blob(layer, f"{image}.layer.v1.tar")],
    }
    entry = blob(json.dumps(manifest).encode(), f"{image}.manifest.v1+json")
    entry["annotations"] = {"org.opencontainers.image.ref.name": name}
    blobs["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    blobs["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, content in blobs.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.mark.parametrize("name", ["dev.local/oci:2", "docker.io/library/plain:2"])
def test_an_archive_of_ocis_layout_is_loaded(loaded, deployed, tmp_path, name):
    archive = tmp_path / "oci.tar"
    archive.write_bytes(oci_layout(box(b"by oci\n"), name))
    assert f"image {name} loaded" in loaded.hearth("image", "load", str(archive)).stdout
    service = name.split("/")[-1].split(":")[0]
    deployed(service, image=name.removeprefix("docker.io/library/"))
    ready(loaded, service)
    assert loaded.call(service).body == b"by oci\n"


def test_what_is_no_archive_is_refused(loaded, tmp_path):
    (tmp_path / "x.tar").write_bytes(b"no archive")
    done = loaded.hearth("image", "load", str(tmp_path / "x.tar"), check=False)
    assert done.returncode != 0
    assert "not an image archive" in done.stderr


def test_a_node_without_containerd_says_so(tmp_path, monkeypatch):
    programs = tmp_path / "bin"
    programs.mkdir()
    for folder in os.environ["PATH"].split(":"):
        for program in Path(folder).glob("*"):
            if program.name != "containerd" and not (programs / program.name).exists():
                (programs / program.name).symlink_to(program)
    monkeypatch.setenv("PATH", str(programs))
    with up(tmp_path / "state", pool=1) as running:
        template = {"spec": {"containers": [{"image": IMAGE}]}}
        meta = {"name": "contained", "namespace": "default"}
        wire = {"metadata": meta, "spec": {"template": template}}
        running.api(lambda client: client.create(SERVICE, wire))
        message = why(running, "contained", "NoContainerRuntime")
        assert "containerd is not installed: install containerd, runc" in message
        condition = running.condition(SERVICE, "contained", "Ready")
        assert "containerd is not installed" in condition["message"]
