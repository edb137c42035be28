"""What a developer does with a running platform, and what apps do wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hearth.api.kinds import POD, REVISION, SERVICE
from tests.system.running import EXAMPLES, command_line, eventually

ASGI = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"asgi"})
"""
WSGI = """
def app(environ, start_response):
    start_response("200 OK", [("content-type", "text/plain")])
    return [b"wsgi"]
"""
FUNCTION = """
def handle(request):
    return {"path": request.path}
"""
PROGRAM = "web: python3 -m http.server $PORT\n"


@pytest.mark.parametrize(
    ("name", "files", "said"),
    [
        pytest.param("asgi", {"app__py": ASGI}, b"asgi", id="asgi"),
        pytest.param("wsgi", {"app__py": WSGI}, b"wsgi", id="wsgi"),
        pytest.param("function", {"main__py": FUNCTION}, b'{"path":', id="function"),
        pytest.param("program", {"Procfile": PROGRAM}, b"Directory listing", id="program"),
    ],
)
def test_each_kind_of_source_answers_from_zero(running, source, name, files, said):
    running.hearth("deploy", name, "--source", source(**files), "--initial-scale", "0")
    answer = running.call(name)
    assert (answer.status, said in answer.body) == (200, True), answer
    running.hearth("delete", name)


def test_the_answer_names_the_phases_of_its_cold_start_when_asked(running, source):
    source_dir = source(app__py=ASGI)
    running.hearth("deploy", "timed", "--source", source_dir, "--initial-scale", "0")
    timing = running.call("timed", headers={"hearth-timing": "1"}).headers["server-timing"]
    phases = [part.split(";")[0].strip() for part in timing.split(",")]
    assert phases == ["held", "claimed", "injected", "listening", "released"]
    running.hearth("delete", "timed")


def test_a_claimed_pod_has_its_revisions_time_to_end(running, source):
    code = source(app__py=FUNCTION)
    running.hearth("deploy", "patient", "--source", code, "--initial-scale", "0", "--timeout", "77")
    running.call("patient")
    label = "serving.knative.dev/service=patient"

    def graces():
        pods = running.api(lambda client: client.list(POD, "default", label_selector=label)).items
        return [pod["spec"]["terminationGracePeriodSeconds"] for pod in pods]

    eventually(graces, 10, "the pod is adopted")
    assert graces() == [77]
    running.hearth("delete", "patient")


def test_requirements_are_there_when_the_app_starts(running, source, tmp_path):
    package = tmp_path / "tinypackage"
    package.mkdir()
    (package / "pyproject.toml").write_text(
        '[project]\nname = "tinypackage"\nversion = "1.0"\n'
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    )
    (package / "tinypackage.py").write_text("ANSWER = 'from the layer'\n")
    code = "import tinypackage\ndef handle(request):\n    return tinypackage.ANSWER\n"
    folder = source(app__py=code, requirements__txt=f"tinypackage @ file://{package}\n")
    running.hearth("deploy", "layered", "--source", folder, "--initial-scale", "0")
    assert running.call("layered").body == b"from the layer"
    running.hearth("delete", "layered")


def test_traffic_is_split_and_rolled_back(running, source, tmp_path):
    for version in ("one", "two"):
        folder = tmp_path / version
        folder.mkdir()
        (folder / "app.py").write_text(f"def handle(request):\n    return {version!r}\n")
        running.hearth("deploy", "split", "--source", str(folder))
    running.hearth("traffic", "split", "--to", "split-00001=50", "--to", "split-00002=50")
    eventually(lambda: {running.call("split").body for _ in range(40)} == {b"one", b"two"})
    running.hearth("traffic", "split", "--to", "split-00001=100")
    eventually(lambda: {running.call("split").body for _ in range(20)} == {b"one"})
    running.hearth("delete", "split")


def test_the_commands_show_what_is_there(running, source):
    running.hearth("deploy", "shown", "--source", source(app__py=FUNCTION + "\nprint('hello log')"))
    assert running.call("shown").status == 200
    listed = json.loads(running.hearth("list", "--output", "json").stdout)
    names = [item["metadata"]["name"] for item in listed.get("items", listed)]
    assert "shown" in names
    assert "shown-00001" in running.hearth("describe", "shown").stdout
    eventually(lambda: "hello log" in running.hearth("logs", "shown").stdout)
    assert "python" in running.hearth("pool").stdout
    assert running.hearth("status").returncode == 0
    assert '"path"' in running.hearth("invoke", "shown").stdout
    running.hearth("delete", "shown")
    assert running.hearth("describe", "shown", check=False).returncode == 3


def test_an_idle_app_goes_to_zero_and_comes_back(running, source):
    running.hearth(
        "deploy", "idle", "--source", source(app__py=ASGI),
        "--annotation", "autoscaling.knative.dev/window=6s",
    )  # fmt: skip
    assert running.call("idle").status == 200
    eventually(
        lambda: running.condition(REVISION, "idle-00001", "Active").get("status") == "False",
        40,
        "the revision is at zero",
    )
    assert running.condition(SERVICE, "idle", "Ready")["status"] == "True"
    assert running.call("idle").status == 200
    running.hearth("delete", "idle")


@pytest.mark.parametrize(
    ("name", "files", "said"),
    [
        pytest.param(
            "import-fails", {"app__py": "import nonexistent_module\napp = 1"},
            "nonexistent_module", id="fails-to-import",
        ),
        pytest.param(
            "exits", {"Procfile": "web: sh -c 'echo going away; exit 3'\n"}, "going away",
            id="exits-at-once",
        ),
    ],
)  # fmt: skip
def test_an_app_that_cannot_start_says_so_everywhere(running, source, name, files, said):
    done = running.hearth(
        "deploy", name, "--source", source(**files), "--wait-timeout", "30", check=False
    )
    assert done.returncode != 0
    assert said in done.stderr + done.stdout
    condition = running.condition(SERVICE, name, "Ready")
    assert condition["status"] == "False"
    assert said in condition["message"]
    answer = running.call(name)
    assert answer.status in (404, 503), answer
    assert answer.body
    running.hearth("delete", name)


def test_an_app_that_fails_from_zero_answers_503_with_the_reason(running, source):
    code = "raise RuntimeError('no good today')"
    running.hearth("deploy", "late", "--source", source(app__py=code), "--initial-scale", "0",
                   check=False)  # fmt: skip
    answer = running.call("late")
    assert (answer.status, b"no good today" in answer.body) == (503, True), answer
    running.hearth("delete", "late")


def test_an_app_that_hangs_gets_504_after_its_timeout(running, source):
    code = "import time\ndef handle(request):\n    time.sleep(3600)\n"
    running.hearth("deploy", "hangs", "--source", source(app__py=code), "--timeout", "2",
                   "--initial-scale", "0")  # fmt: skip
    answer = running.call("hangs")
    assert answer.status == 504
    assert answer.took_s < 10
    running.hearth("delete", "hangs")


def test_an_app_that_never_listens_gets_504_and_disturbs_nobody(running, source, tmp_path):
    code = source(Procfile="web: sleep 1000\n")
    running.hearth("deploy", "deaf", "--source", code, "--timeout", "3", "--initial-scale", "0")
    good = tmp_path / "good"
    good.mkdir()
    (good / "app.py").write_text(FUNCTION)
    running.hearth("deploy", "good", "--source", str(good), "--initial-scale", "0")
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(running.call, "deaf")
        assert running.call("good").status == 200
        answer = held.result()
    assert (answer.status, bool(answer.body)) == (504, True), answer
    assert answer.took_s < 10
    running.hearth("delete", "deaf")
    running.hearth("delete", "good")


def test_curl_finds_an_app_by_its_url(running, source):
    running.hearth("deploy", "curled", "--source", source(app__py=FUNCTION))
    url = json.loads(running.hearth("describe", "curled", "-o", "json").stdout)["status"]["url"]
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    done = subprocess.run(["curl", "-s", "-m", "10", url], capture_output=True, check=False)
    assert b'"path"' in done.stdout, done
    running.hearth("delete", "curled")


def test_a_flood_of_output_neither_blocks_the_app_nor_fills_the_disk(running, source):
    code = (
        "import sys, threading\n"
        "def flood():\n"
        "    while True:\n"
        "        print('x' * 1000)\n"
        "threading.Thread(target=flood, daemon=True).start()\n"
        "def handle(request):\n    return 'alive'\n"
    )
    running.hearth("deploy", "flood", "--source", source(app__py=code))
    time.sleep(5)
    assert running.call("flood").body == b"alive"
    logs = sum(f.stat().st_size for f in running.state.rglob("*.log*"))
    assert logs < 120 * 2**20
    running.hearth("delete", "flood")


def test_an_app_that_forks_and_dies_leaves_nothing(running, source, tmp_path):
    marker = tmp_path / "pid"
    code = (
        "import os, subprocess, time\n"
        f"pid = subprocess.Popen(['sleep', '987'], start_new_session=True).pid\n"
        f"open({str(marker)!r}, 'w').write(str(pid))\n"
        "def handle(request):\n    os._exit(1)\n"
    )
    running.hearth("deploy", "forks", "--source", source(app__py=code), "--initial-scale", "0")
    assert running.call("forks").status in (502, 503)
    running.hearth("delete", "forks")
    pid = int(marker.read_text())

    eventually(lambda: "sleep" not in command_line(pid), 20, "the forked child is gone")


def test_the_examples_service_manifest_is_served(running):
    import yaml

    wire = yaml.safe_load((EXAMPLES / "hello" / "service.yaml").read_text())
    wire["metadata"]["namespace"] = "default"
    running.api(lambda client: client.create(SERVICE, wire))
    name = wire["metadata"]["name"]
    eventually(lambda: running.condition(SERVICE, name, "Ready").get("status") == "True")
    assert running.call(name).status == 200
    running.hearth("delete", name)
