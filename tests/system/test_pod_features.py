"""What a pod's spec asks for, and its process gets: volumes, users, probes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hearth.api.kinds import (
    CONFIG_MAP,
    CORE_EVENT,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    SECRET,
    SERVICE_ACCOUNT,
    TOKEN_REVIEW,
)
from tests.system.node_rig import MODES, eventually, node
from tests.system.running import eventually as soon

#: Answers what a file holds, whom it runs as, and dies or hangs when told to.
APP = """
import json, os, pathlib, sys
bad = []
def handle(request):
    path = request.path
    if path == "/me":
        status = pathlib.Path("/proc/self/status").read_text().splitlines()
        wanted = ("NoNewPrivs", "CapBnd", "Groups")
        rest = {line.split(":")[0]: line.split(":")[1].strip() for line in status
                if line.split(":")[0] in wanted}
        return json.dumps({"user": os.getuid(), "group": os.getgid(), **rest})
    if path == "/bad":
        bad.append(1)
    if path == "/health":
        return ("bad", 500) if bad else "good"
    if path.startswith("/write"):
        try:
            pathlib.Path(path.removeprefix("/write")).write_text("written")
        except OSError as error:
            return repr(error)
        return "written"
    try:
        return pathlib.Path(path).read_text()
    except OSError as error:
        return repr(error)
"""
root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
modes = pytest.mark.parametrize("mode", MODES)


def story(folder, mode, act, **settings):
    async def whole():
        async with node(folder, mode, **settings) as rig:
            return await asyncio.wait_for(act(rig), 60)

    return asyncio.run(whole())


async def put(rig, kind, name, **content):
    await rig.client.create(kind, {"metadata": {"name": name, "namespace": "default"}, **content})


async def text(rig, pod, path):
    return (await rig.call(pod, path))[1].decode()


MOUNTS = {
    "volumeMounts": [
        {"name": "config", "mountPath": "/etc/hearth-test/config", "readOnly": True},
        {"name": "scratch", "mountPath": "/hearth-test-scratch"},
        {"name": "memory", "mountPath": "/hearth-test-memory"},
        {"name": "data", "mountPath": "/var/lib/hearth-test"},
    ]
}
VOLUMES = [
    {
        "name": "config",
        "projected": {
            "sources": [
                {"configMap": {"name": "settings"}},
                {"secret": {"name": "keys"}},
                {"downwardAPI": {"items": [
                    {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
            ]
        },
    },
    {"name": "scratch", "emptyDir": {}},
    {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
]  # fmt: skip
MEMORY = {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}


async def prepare(rig):
    await put(rig, CONFIG_MAP, "settings", data={"color": "red"})
    await put(rig, SECRET, "keys", stringData={"pw": "secret"})
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    await put(rig, PERSISTENT_VOLUME_CLAIM, "data", spec=spec)


async def check_volumes(rig, pod, name):
    assert await text(rig, pod, "/etc/hearth-test/config/color") == "red"
    assert await text(rig, pod, "/etc/hearth-test/config/pw") == "secret"
    assert await text(rig, pod, "/etc/hearth-test/config/name") == name
    assert "Read-only" in await text(rig, pod, "/write/etc/hearth-test/config/x")
    for place in ("/hearth-test-scratch", "/hearth-test-memory", "/var/lib/hearth-test"):
        assert await text(rig, pod, f"/write{place}/f") == "written"
        assert await text(rig, pod, f"{place}/f") == "written"
    assert await text(rig, pod, "/etc/hostname") != ""
    assert {"hearth-test-scratch"}.isdisjoint(os.listdir("/"))
    assert {"hearth-test"}.isdisjoint(os.listdir("/etc"))


def mounts_left(folder):
    with open("/proc/self/mounts") as file:
        return [line for line in file if str(folder) in line]


@root
@modes
def test_a_pod_has_its_volumes_and_the_machine_has_nothing_of_them(tmp_path, mode):
    async def act(rig):
        await prepare(rig)
        code = rig.source("app", app__py=APP)
        await rig.create("one", code, container=MOUNTS, volumes=[*VOLUMES, MEMORY])
        await check_volumes(rig, await rig.ready("one"), "one")
        await rig.client.delete(POD, "default", "one", grace_period_s=0)
        await rig.gone("one")
        await rig.create("two", code, container=MOUNTS, volumes=[*VOLUMES, MEMORY])
        pod = await rig.ready("two")
        assert await text(rig, pod, "/var/lib/hearth-test/f") == "written"
        assert "No such file" in await text(rig, pod, "/hearth-test-scratch/f")

    story(tmp_path, mode, act)
    assert mounts_left(tmp_path) == []


@root
@modes
def test_a_claimed_pod_has_the_volumes_of_what_it_became(tmp_path, mode):
    async def act(rig):
        await prepare(rig)
        await rig.create("warm")
        warm = await rig.ready("warm")
        meta = {"namespace": "default", "name": "app", "labels": {}}
        containers = [{"name": "user-container", **MOUNTS}]
        claimed = {
            "metadata": meta, "spec": {"containers": containers, "volumes": [*VOLUMES, MEMORY]}
        }  # fmt: skip
        code = rig.source("app", app__py=APP)
        status, said = await rig.specialise(warm, code, mounts=True, pod=claimed)
        assert status == 200, said
        await check_volumes(rig, warm, "warm")

    story(tmp_path, mode, act)
    assert mounts_left(tmp_path) == []


@modes
def test_a_claim_is_told_which_volume_cannot_be_had(tmp_path, mode):
    async def act(rig):
        await rig.create("warm")
        warm = await rig.ready("warm")
        claimed = {
            "metadata": {"namespace": "default"},
            "spec": {"containers": [{"volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
                     "volumes": [{"name": "v", "secret": {"secretName": "nope"}}]},
        }  # fmt: skip
        code = rig.source("app", app__py=APP)
        status, said = await rig.specialise(warm, code, mounts=True, pod=claimed)
        assert (status, said["reason"]) == (422, "FailedMount")
        wanted = 'MountVolume.SetUp failed for volume "v" : secret "nope" not found'
        assert said["message"] == wanted

    story(tmp_path, mode, act)


@root
def test_what_a_volume_shows_changes_with_its_object(tmp_path):
    async def act(rig):
        await prepare(rig)
        code = rig.source("app", app__py=APP)
        mounts = {"volumeMounts": [{"name": "c", "mountPath": "/c"}]}
        volumes = [{"name": "c", "configMap": {"name": "settings"}}]
        await rig.create("one", code, container=mounts, volumes=volumes)
        pod = await rig.ready("one")
        await rig.client.patch(CONFIG_MAP, "default", "settings", {"data": {"color": "blue"}})

        async def look():
            return await text(rig, pod, "/c/color") == "blue"

        await eventually(look, "the volume shows the new colour")

    story(tmp_path, "on", act, volumes_refresh_s=0.2)


@modes
def test_a_pod_waits_for_what_it_names_and_starts_when_it_is_there(tmp_path, mode, monkeypatch):
    monkeypatch.setattr("hearth.node.core.lifecycle.BACKOFF_FIRST_S", 0.3)

    async def act(rig):
        code = rig.source("app", app__py=APP)
        env = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "late", "key": "k"}}}]
        await rig.create("env", code, container={"env": env})
        waiting = await rig.state("env", "waiting")
        assert waiting == {
            "reason": "CreateContainerConfigError", "message": 'secret "late" not found'
        }  # fmt: skip
        volumes = [{"name": "v", "secret": {"secretName": "late"}}]
        await rig.create("volume", code, volumes=volumes)

        async def look():
            events = (await rig.client.list(CORE_EVENT, "default")).items
            return [e["message"] for e in events if e["reason"] == "FailedMount"]

        [said] = await eventually(look, "an event says what cannot be mounted")
        assert said == 'MountVolume.SetUp failed for volume "v" : secret "late" not found'
        assert (await rig.state("volume", "waiting"))["reason"] == "ContainerCreating"
        await put(rig, SECRET, "late", stringData={"k": "v"})
        await rig.ready("env")
        await rig.ready("volume")

    story(tmp_path, mode, act)


@root
@modes
def test_a_process_runs_as_the_user_that_its_pod_names(tmp_path, mode):
    async def act(rig):
        code = rig.source("app", app__py=APP)
        context = {
            "runAsUser": 12345, "runAsGroup": 23456, "runAsNonRoot": True,
            "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        mounts = {"volumeMounts": [{"name": "s", "mountPath": "/s"}]}
        await rig.create(
            "one", code, container={"securityContext": context, **mounts},
            securityContext={"fsGroup": 34567},
            volumes=[{"name": "s", "emptyDir": {}}],
        )  # fmt: skip
        pod = await rig.ready("one")
        me = json.loads(await text(rig, pod, "/me"))
        assert me == {
            "user": 12345, "group": 23456, "Groups": "23456 34567", "NoNewPrivs": "1",
            "CapBnd": "0000000000000000",
        }  # fmt: skip
        assert await text(rig, pod, "/write/s/x") == "written"
        assert "Permission" in await text(rig, pod, "/write/etc/hearth-test")

    story(tmp_path, mode, act)


#: A program that any user can run, wherever the interpreter of the platform is.
PERL_SERVER = """web: exec perl -MIO::Socket::INET -e '
my $server = IO::Socket::INET->new(LocalAddr => "0.0.0.0", LocalPort => $ENV{PORT}, Listen => 9,
    ReuseAddr => 1) or die; while (my $client = $server->accept) { my $asked = <$client>;
    print $client "HTTP/1.0 200 OK\\r\\n\\r\\n$<"; close $client; }'
""".replace("\n", " ").strip()


@root
@modes
def test_a_program_runs_as_the_user_that_its_pod_names(tmp_path, mode):
    async def act(rig):
        code = rig.source("app", Procfile=PERL_SERVER)
        await rig.create("one", code, container={"securityContext": {"runAsUser": 12345}})
        assert await text(rig, await rig.ready("one"), "/") == "12345"

    story(tmp_path, mode, act)


#: Where a program reads its memory limit, its CPU quota and weight: by the version of cgroups.
V1 = (
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    "/sys/fs/cgroup/cpu/cpu.cfs_quota_us",
    "/sys/fs/cgroup/cpu/cpu.shares",
)
V2 = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu.weight")
IS_V2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()


@root
def test_a_pod_reads_its_limits_where_a_container_does(tmp_path):
    async def act(rig):
        code = rig.source("app", app__py=APP)
        resources = {"requests": {"cpu": "125m"}, "limits": {"memory": "64Mi", "cpu": "500m"}}
        await rig.create("one", code, container={"resources": resources})
        await rig.create("two", code)
        one, two = await rig.ready("one"), await rig.ready("two")
        memory, quota, weight = V2 if IS_V2 else V1
        assert (await text(rig, one, memory)).strip() == str(64 * 2**20)
        assert (await text(rig, one, quota)).split()[0] == "50000"
        assert (await text(rig, one, weight)).strip() == ("5" if IS_V2 else "128")
        assert (await text(rig, two, memory)).strip() != str(64 * 2**20)
        assert "Read-only" in await text(rig, one, f"/write{memory}")

    story(tmp_path, "on", act)


@root
@modes
def test_a_pod_that_must_not_be_root_is_not(tmp_path, mode):
    async def act(rig):
        code = rig.source("app", app__py=APP)
        await rig.create("one", code, securityContext={"runAsNonRoot": True})
        pod = await rig.ready("one")
        assert json.loads(await text(rig, pod, "/me"))["user"] == 65532
        assert "Permission" in await text(rig, pod, "/write/etc/hearth-test")
        root = {"runAsNonRoot": True, "runAsUser": 0}
        await rig.create("two", code, securityContext=root)
        waiting = await rig.state("two", "waiting")
        assert waiting["reason"] == "CreateContainerConfigError"
        assert waiting["message"].startswith("container's runAsUser breaks non-root policy")

    story(tmp_path, mode, act)


LIVENESS = {
    "httpGet": {"path": "/health"}, "periodSeconds": 1, "failureThreshold": 1,
    "terminationGracePeriodSeconds": 1,
}  # fmt: skip


@modes
def test_a_container_that_fails_its_liveness_probe_is_started_again(tmp_path, mode):
    async def act(rig):
        code = rig.source("app", app__py=APP)
        await rig.create("one", code, container={"livenessProbe": LIVENESS})
        pod = await rig.ready("one")
        await rig.call(pod, "/bad")
        ended = await rig.state("one", "terminated", "lastState")
        assert "Liveness probe failed: HTTP probe failed with statuscode: 500" in ended["message"]
        assert (await text(rig, await rig.ready("one"), "/health")) == "good"

    story(tmp_path, mode, act)


@modes
def test_a_claimed_pod_that_fails_its_liveness_probe_ends(tmp_path, mode):
    async def act(rig):
        await rig.create("warm")
        warm = await rig.ready("warm")
        container = {"name": "user-container", "livenessProbe": LIVENESS}
        claimed = {"metadata": {"namespace": "default"}, "spec": {"containers": [container]}}
        code = rig.source("app", app__py=APP)
        assert (await rig.specialise(warm, code, pod=claimed))[0] == 200
        await rig.call(warm, "/bad")
        ended = await rig.state("warm", "terminated")
        assert "Liveness probe failed" in ended["message"]

    story(tmp_path, mode, act)


@modes
def test_a_command_probe_runs_inside_the_pod(tmp_path, mode):
    async def act(rig):
        code = rig.source("app", app__py=APP, ready__py="")
        command = ["/bin/sh", "-c", 'test "$WHO" = me && test -f ready.py']
        probe = {"exec": {"command": command}}
        env = [{"name": "WHO", "value": "me"}]
        await rig.create("one", code, container={"readinessProbe": probe, "env": env})
        await rig.ready("one")

    story(tmp_path, mode, act)


@root
@modes
def test_a_pod_knows_the_token_of_its_account(tmp_path, mode):
    async def act(rig):
        await put(rig, SERVICE_ACCOUNT, "robot")
        code = rig.source("app", app__py=APP)
        await rig.create("one", code, serviceAccountName="robot")
        pod = await rig.ready("one")
        folder = "/var/run/secrets/kubernetes.io/serviceaccount"
        assert await text(rig, pod, f"{folder}/namespace") == "default"
        assert "BEGIN CERTIFICATE" in await text(rig, pod, f"{folder}/ca.crt")
        token = await text(rig, pod, f"{folder}/token")
        answer = await rig.client.create(TOKEN_REVIEW, {"spec": {"token": token}})
        user = answer["status"]["user"]
        assert user["username"] == "system:serviceaccount:default:robot"
        assert user["extra"]["authentication.kubernetes.io/pod-name"] == ["one"]

    story(tmp_path, mode, act)


@root
def test_nothing_stays_mounted_when_the_agent_is_killed(tmp_path):
    """The zygotes outlive it by a moment, and clean up."""
    program = Path(__file__).with_name("pod_with_memory.py")
    with subprocess.Popen(
        [sys.executable, program, str(tmp_path)], stdout=subprocess.PIPE
    ) as agent:
        assert agent.stdout is not None
        assert agent.stdout.readline() == b"ready\n"
        assert mounts_left(tmp_path) != []
        agent.kill()
    soon(lambda: mounts_left(tmp_path) == [], what="nothing is mounted any more")
