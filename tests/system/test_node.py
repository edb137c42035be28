"""The node agent with real zygotes and pods: what it promises when they misbehave or are killed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hearth.api.kinds import POD, POD_POOL
from hearth.api.meta import owner_reference
from tests.system.node_rig import MODES, NODE, Rig, eventually, node
from tests.system.running import command_line, is_alive
from tests.system.running import eventually as soon

ASGI = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            print(kind)
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"asgi"})
"""
LIFESPAN_FAILS = """
async def app(scope, receive, send):
    await receive()
    try:
        1 / 0
    except ZeroDivisionError as error:
        await send({"type": "lifespan.startup.failed", "message": repr(error)})
"""
FLASK = "from flask import Flask\napp = Flask(__name__)\n@app.get('/')\ndef hi(): return 'flask'\n"
FUNCTION = "def handle(request):\n    return 'here'\n"
SERVER = "web: exec python3 -m http.server $PORT\n"
#: Leaves a daemon that has nothing of its pod: neither parent, nor session, nor program.
DAEMON = """
import os, pathlib, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            time.sleep(1)
    os._exit(0)
os.wait()
def handle(request):
    return "here"
"""
root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
modes = pytest.mark.parametrize("mode", MODES)


def story(folder, mode, act, **settings):
    """Run ``act(rig)`` with a node of its own."""

    async def whole():
        async with node(folder, mode, **settings) as rig:
            return await asyncio.wait_for(act(rig), 60)

    return asyncio.run(whole())


def session(pid):
    """All processes that descend from the pod's, whatever they did about it."""
    found, stack = [], [pid]
    while stack:
        one = stack.pop()
        found.append(one)
        children = Path(f"/proc/{one}/task/{one}/children")
        stack += [int(child) for child in children.read_text().split()]
    return found


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def strangers(folder):
    """Processes that work in the folder, other than this one."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            where = os.readlink(process / "cwd")
        except OSError:
            continue
        if where.startswith(str(folder)) and is_alive(int(process.name)):
            found.append(int(process.name))
    return found


@modes
@pytest.mark.parametrize(
    ("code", "said"),
    [pytest.param(ASGI, b"asgi", id="asgi"), pytest.param(FLASK, b"flask", id="flask")],
)
def test_a_warm_pod_becomes_one_app_in_the_same_process(tmp_path, mode, code, said):
    async def act(rig: Rig):
        await rig.create("warm")
        pod = await rig.ready("warm")
        pid = rig.pid(pod)
        status, answer = await rig.specialise(pod, rig.source("app", app__py=code))
        assert (status, sorted(answer["phasesS"])) == (200, ["injected", "listening"])
        assert await rig.call(pod) == (200, said)
        assert rig.pid(pod) == pid
        assert command_line(pid) == "default/warm"
        with pytest.raises(OSError):
            await rig.specialise(pod, rig.source("other", app__py=code))

    story(tmp_path, mode, act)


@modes
def test_of_many_claims_of_one_pod_one_is_granted(tmp_path, mode):
    async def act(rig: Rig):
        await rig.create("warm")
        pod, code = await rig.ready("warm"), rig.source("app", app__py=FUNCTION)
        claims = [rig.specialise(pod, code) for _ in range(8)]
        found = await asyncio.gather(*claims, return_exceptions=True)
        granted = [f for f in found if not isinstance(f, Exception) and f[0] == 200]
        refused = [f for f in found if isinstance(f, OSError) or f[0] == 409]
        assert (len(granted), len(granted) + len(refused)) == (1, 8)

    story(tmp_path, mode, act)


@modes
def test_an_adopted_pod_goes_on_under_its_new_name(tmp_path, mode):
    async def act(rig: Rig):
        template = {"spec": {"containers": [{"image": "hearth.dev/runtimes/python"}]}}
        meta = {"name": "pool", "namespace": "default"}
        pool = await rig.client.create(
            POD_POOL, {"metadata": meta, "spec": {"replicas": 0, "template": template}}
        )
        owner = owner_reference(pool)
        made = await rig.create("warm")
        await rig.client.patch(POD, "default", "warm", {"metadata": {"ownerReferences": [owner]}})
        pod = await rig.ready("warm")
        await rig.specialise(pod, rig.source("app", app__py=FUNCTION + "print('adopted')"))
        meta = {"namespace": "kube-public", "labels": {"serving.knative.dev/revision": "r"},
                "ownerReferences": []}  # fmt: skip
        await rig.client.create(
            POD, {"metadata": meta}, namespace="default", name="warm", subresource="adopt"
        )
        os.kill(rig.pid(pod), signal.SIGKILL)

        async def failed():
            found = await rig.client.get(POD, "kube-public", "warm")
            return found if found["status"]["phase"] == "Failed" else None

        found = await eventually(failed, "the death is told where the pod is now")
        assert found["metadata"]["uid"] == made["metadata"]["uid"]
        ready = next(c for c in found["status"]["conditions"] if c["type"] == "Ready")
        assert ready["status"] == "False"

    story(tmp_path, mode, act)


@modes
def test_an_ordinary_pod_runs_its_code_and_keeps_its_log(tmp_path, mode):
    async def act(rig: Rig):
        await rig.create("app", rig.source("code", app__py="print('hello log')\n" + FUNCTION))
        assert await rig.call(await rig.ready("app")) == (200, b"here")

        async def logged():
            return await rig.log("app") == "hello log\n"

        await eventually(logged, "what was printed is in the log at once")

    story(tmp_path, mode, act)


@modes
def test_a_deleted_app_ends_well_and_leaves_nothing(tmp_path, mode):
    async def act(rig: Rig):
        await rig.create("app", rig.source("code", app__py=ASGI), restartPolicy="Never")
        pod = await rig.ready("app")
        pid = rig.pid(pod)
        log = rig.agent._workers[pod["metadata"]["uid"]].log
        await rig.client.delete(POD, "default", "app", grace_period_s=10)
        await rig.gone("app")
        assert not is_alive(pid)
        assert "lifespan.shutdown" in log.tail()

    story(tmp_path, mode, act)


@modes
def test_an_app_that_ignores_sigterm_is_killed_after_its_grace_period(tmp_path, mode):
    async def act(rig: Rig):
        program = "web: trap '' TERM; python3 -m http.server $PORT & sleep 999\n"
        await rig.create("app", rig.source("code", Procfile=program))
        pids = session(rig.pid(await rig.ready("app")))
        assert len(pids) > 2
        started = time.monotonic()
        await rig.client.delete(POD, "default", "app", grace_period_s=1)
        await rig.gone("app")
        assert 0.9 < time.monotonic() - started < 5
        assert [pid for pid in pids if is_alive(pid)] == []

    story(tmp_path, mode, act)


@modes
def test_a_daemon_does_not_survive_its_pod(tmp_path, mode):
    async def act(rig: Rig):
        await rig.create("app", rig.source("code", app__py=DAEMON), restartPolicy="Never")
        pod = await rig.ready("app")
        assert len(strangers(tmp_path / "code")) == 2
        os.kill(rig.pid(pod), signal.SIGKILL)
        await rig.state("app", "terminated")

        async def none():
            return strangers(tmp_path / "code") == []

        await eventually(none, "the daemon is gone", 5)

    story(tmp_path, mode, act)


@modes
def test_a_killed_zygote_takes_all_its_pods_along_and_is_started_again(tmp_path, mode):
    async def act(rig: Rig):
        await rig.create("warm")
        await rig.create("app", rig.source("code", Procfile=SERVER))
        warm, app = await rig.ready("warm"), await rig.ready("app")
        pids = session(rig.pid(app)) + session(rig.pid(warm))
        parents = {parent(rig.pid(pod)) for pod in (warm, app)}
        for zygote in parents:
            os.kill(zygote, signal.SIGKILL)
        assert (await rig.state("warm", "terminated"))["exitCode"] == 137
        await rig.state("app", "terminated", "lastState")
        assert [pid for pid in pids if is_alive(pid)] == []
        again = await rig.ready("app")
        assert (await rig.call(again))[0] == 200, "it is where its annotations say now"

    story(tmp_path, mode, act)


@modes
def test_a_program_that_keeps_ending_waits_longer_and_says_why(tmp_path, mode):
    async def act(rig: Rig):
        program = "web: echo going away; exit 3\n"
        await rig.create("app", rig.source("code", Procfile=program))

        async def backing_off():
            state = await rig.state("app", "waiting")
            return "10s" in state.get("message", "") and state

        state = await eventually(backing_off, "the second back-off")
        assert state["reason"] == "CrashLoopBackOff"
        ended = await rig.state("app", "terminated", "lastState")
        assert (ended["exitCode"], ended["reason"]) == (3, "Error")
        assert ended["message"].splitlines()[1:] == ["going away"]
        assert "exit code 3" in ended["message"]
        previous = await rig.log("app", previous="true")
        assert previous.count("going away") == 1

    story(tmp_path, mode, act)


@pytest.mark.parametrize(
    ("files", "reason", "said"),
    [
        pytest.param({"app__py": "import nothing_such"}, "ImportFailed", "nothing_such",
                     id="import-fails"),
        pytest.param({"app__py": "import time\ntime.sleep(99)"}, "NotListening", "after 1 s",
                     id="import-hangs"),
        pytest.param({"app__py": LIFESPAN_FAILS}, "ExitedEarly",
                     "ZeroDivisionError", id="lifespan-fails"),
        pytest.param({"Procfile": "web: echo bye; exit 3"}, "ExitedEarly", "bye",
                     id="program-ends"),
        pytest.param({"Procfile": "web: sleep 99"}, "NotListening", "after 1 s",
                     id="program-never-listens"),
        pytest.param({"readme": ""}, "CodeInvalid", "looked for a Procfile", id="no-entry"),
    ],
)  # fmt: skip
def test_code_that_cannot_run_is_told_to_the_claimer(tmp_path, files, reason, said):
    async def act(rig: Rig):
        await rig.create("warm")
        pod = await rig.ready("warm")
        code = rig.source("code", **files)
        status, answer = await rig.specialise(pod, code, listen_timeout_s=1.0)
        assert (status, answer["reason"]) == (422, reason)
        assert said in answer["message"]
        ended = await rig.state("warm", "terminated")
        assert said in ended["message"]

    story(tmp_path, "off", act)


def test_an_apps_own_version_of_a_preloaded_module_wins(tmp_path):
    async def act(rig: Rig):
        layer = rig.source(
            "layer",
            **{"blinker/__init____py": "VERSION = 'mine'", "blinker-0.1.dist-info/METADATA": ""},
        ).removeprefix("file://")
        code = rig.source(
            "code", app__py="import blinker\ndef handle(request):\n    return blinker.VERSION\n"
        )
        await rig.create(
            "app", code, annotations={"hearth.dev/layer": f"file://{layer}"},
            container={"env": [{"name": "HEARTH_PRELOAD", "value": "flask"}]},
        )  # fmt: skip
        pod = await rig.ready("app")
        assert await rig.call(pod) == (200, b"mine")

    story(tmp_path, "off", act)


def test_nothing_of_the_operators_environment_reaches_an_app(tmp_path, monkeypatch):
    monkeypatch.setenv("OPERATORS_SECRET", "s3cret")
    code = (
        "import os\ndef handle(request):\n"
        "    return repr(dict(os.environ)) + open('/proc/self/environ').read()"
    )

    async def act(rig: Rig):
        env = [{"name": "MINE", "value": "yes"}]
        await rig.create("app", rig.source("code", app__py=code), container={"env": env})
        _, body = await rig.call(await rig.ready("app"))
        assert b"'MINE': 'yes'" in body
        assert b"OPERATORS_SECRET" not in body
        assert b"HEARTH_LOADER" not in body

    story(tmp_path, "off", act)


def test_a_missing_config_map_is_waited_for(tmp_path):
    async def act(rig: Rig):
        source = {"configMapKeyRef": {"name": "absent", "key": "k"}}
        env = [{"name": "K", "valueFrom": source}]
        await rig.create("app", rig.source("code", app__py=FUNCTION), container={"env": env})
        state = await rig.state("app", "waiting")
        while state["reason"] == "ContainerCreating":
            state = await rig.state("app", "waiting")
        assert (state["reason"], "absent" in state["message"]) == (
            "CreateContainerConfigError", True,
        )  # fmt: skip

    story(tmp_path, "off", act)


@modes
def test_an_app_that_floods_its_log_answers_and_fills_no_disk(tmp_path, mode):
    code = (
        "import threading\ndef flood():\n    while True:\n        print('x' * 999)\n"
        "threading.Thread(target=flood, daemon=True).start()\n" + FUNCTION
    )

    async def act(rig: Rig):
        await rig.create("app", rig.source("code", app__py=code))
        pod = await rig.ready("app")
        await asyncio.sleep(4)
        started = time.monotonic()
        assert await rig.call(pod) == (200, b"here")
        assert time.monotonic() - started < 2
        kept = sum(f.stat().st_size for f in (tmp_path / "node/pods").rglob("*.log*"))
        assert 0 < kept <= 3 * 2**20 + 2**20
        assert len((await rig.log("app", tailLines="5")).splitlines()) == 5

    story(tmp_path, mode, act, log_max_bytes=2**20, log_files_max=3)


@root
def test_a_pod_has_no_more_memory_than_its_limit(tmp_path):
    hog = "web: python3 -c \"b=[bytearray(b'x' * 2**20) for _ in range(900)]\"\n"

    async def act(rig: Rig):
        limits = {"resources": {"limits": {"memory": "96Mi"}}}
        code = rig.source("code", Procfile=hog)
        await rig.create("app", code, container=limits, restartPolicy="Never")
        ended = await rig.state("app", "terminated")
        assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)

    story(tmp_path, "on", act)


@root
def test_a_fork_bomb_stays_in_its_pod(tmp_path):
    bomb = (
        "import os, time\ncount = 0\ntry:\n    while True:\n        if os.fork() == 0:\n"
        "            time.sleep(999)\n        count += 1\nexcept BlockingIOError:\n    pass\n"
        "def handle(request):\n    return str(count)\n"
    )

    async def act(rig: Rig):
        await rig.create("app", rig.source("code", app__py=bomb))
        pod = await rig.ready("app")
        pids = session(rig.pid(pod))
        assert 0 < int((await rig.call(pod))[1]) < 64
        await rig.client.delete(POD, "default", "app", grace_period_s=0)
        await rig.gone("app")

        async def none():
            return not any(is_alive(pid) for pid in pids)

        await eventually(none, "every fork is gone")

    story(tmp_path, "on", act, pids_max=64)


@root
def test_every_pod_has_an_address_of_its_own_and_reaches_the_others(tmp_path):
    code = (
        "import urllib.request\ndef handle(request):\n    other = request.query.get('other')\n"
        "    if not other:\n        return 'here'\n"
        "    return urllib.request.urlopen(f'http://{other}:8080/').read()\n"
    )

    async def act(rig: Rig):
        url = rig.source("code", app__py=code)
        for name in ("one", "two"):
            await rig.create(name, url)
        one, two = await rig.ready("one"), await rig.ready("two")
        ips = [pod["status"]["podIP"] for pod in (one, two)]
        assert len(set(ips)) == 2
        assert all(ip.startswith("10.") for ip in ips)
        assert await rig.call(one, f"/?other={ips[1]}") == (200, b"here")

    story(tmp_path, "on", act)


@root
def test_a_pod_finds_names_by_its_own_etc(tmp_path):
    code = "def handle(request):\n    return open('/etc/' + request.query['of']).read()\n"
    aliases = [{"ip": "10.1.2.3", "hostnames": ["db"]}]
    own = {"nameservers": ["192.0.2.1"], "searches": ["example.com"]}

    async def act(rig: Rig):
        url = rig.source("code", app__py=code)
        await rig.create("plain", url)
        await rig.create("own", url, dnsPolicy="None", dnsConfig=own, hostAliases=aliases)
        await rig.create("warm")
        plain, special = await rig.ready("plain"), await rig.ready("own")
        found = (await rig.call(plain, "/?of=resolv.conf"))[1].decode()
        assert found.splitlines()[1:] == [
            "search default.svc.cluster.local svc.cluster.local cluster.local", "options ndots:5"
        ]  # fmt: skip
        assert found.startswith("nameserver 10.")
        assert (await rig.call(special, "/?of=resolv.conf"))[1] == (
            b"nameserver 192.0.2.1\nsearch example.com\n"
        )
        assert (await rig.call(special, "/?of=hosts"))[1].endswith(b"\n10.1.2.3\tdb\n")
        warm = await rig.ready("warm")
        claimed = {**warm, "metadata": {**warm["metadata"], "namespace": "other"}}
        await rig.specialise(warm, url, pod=claimed)
        assert b"search other.svc.cluster.local" in (await rig.call(warm, "/?of=resolv.conf"))[1]

    story(tmp_path, "on", act)


@root
def test_limits_and_networks_are_removed_with_the_agent(tmp_path):
    async def act(rig: Rig):
        await rig.create("app", rig.source("code", app__py=FUNCTION))
        await rig.ready("app")
        network, cgroups = rig.agent._machinery.network, rig.agent._machinery.cgroups
        found = [Path("/sys/class/net") / network._bridge, *map(Path, cgroups.parents)]
        assert all(path.exists() for path in found)
        return found

    assert [str(path) for path in story(tmp_path, "on", act) if path.exists()] == []


@modes
def test_after_kill_9_nothing_is_left(tmp_path, mode):
    for name, files in (("daemon", {"app.py": DAEMON}), ("program", {"Procfile": SERVER})):
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text)
    command = [sys.executable, "-m", "tests.system.node_rig", str(tmp_path), mode]
    process = subprocess.Popen([*command, "daemon", "program"])
    try:
        soon((tmp_path / "ready.json").exists, 30, "the node is ready")
        assert len(strangers(tmp_path)) >= 4
    finally:
        process.kill()
        process.wait()
    soon(lambda: strangers(tmp_path) == [], 10, "every process is gone")
    groups = list(Path("/sys/fs/cgroup").glob(f"**/hearth-{NODE}-{process.pid}"))
    soon(lambda: not any(g.exists() for g in groups), 5, f"the groups are gone: {groups}")

    async def act(rig: Rig):
        for name in ("daemon", "program"):
            ended = await rig.state(name, "terminated")
            assert ended["reason"] == "NodeRestarted", "never resurrected half-way"

    story(tmp_path, mode, act)


def unprivileged(command, folder):
    """The command line that runs as nobody, who may read the interpreter wherever it is."""
    if os.geteuid() != 0:
        return command
    if not shutil.which("setpriv"):
        pytest.skip("needs setpriv, to be nobody")
    for parent_folder in folder.parents:
        if parent_folder.name.startswith("pytest-"):
            parent_folder.chmod(0o755)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 65534, 65534)
    caps = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search"]
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *caps, *command]


def test_everything_works_without_root(tmp_path):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "app.py").write_text(FUNCTION)
    command = [sys.executable, "-m", "tests.system.node_rig", str(tmp_path), "auto", "app"]
    process = subprocess.Popen(unprivileged(command, tmp_path))
    try:
        soon((tmp_path / "ready.json").exists, 30, "the node is ready")
        app = json.loads((tmp_path / "ready.json").read_text())["app"]
        assert app["answer"] == "here"
        assert Path(f"/proc/{app['pid']}").stat().st_uid != 0
    finally:
        process.kill()
        process.wait()
    soon(lambda: not is_alive(app["pid"]), 5, "the pod is gone")
