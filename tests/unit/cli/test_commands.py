import asyncio
import json

import pytest
import yaml

from hearth.api.errors import Forbidden
from hearth.api.kinds import LEASE, NODE, POD, POD_POOL, REVISION, SERVICE
from hearth.cli.commands.logs import _Reader
from hearth.cli.pods import pod_selector
from hearth.cli.session import Session
from hearth.client import Client
from tests.unit.virtual import run_virtual

SYSTEM = "hearth-system"
NOW = "2999-01-01T00:00:00.000000Z"


@pytest.fixture
def hello(platform, hearth, source):
    folder = source({"app.py": "def handle(request):\n    return 1\n"})
    hearth("deploy", "hello", "--source", str(folder))
    for number in (1, 2):
        platform.api.put(REVISION, revision(number))
    return platform


def revision(number):
    labels = {
        "serving.knative.dev/service": "hello",
        "serving.knative.dev/configurationGeneration": str(number),
    }
    return {"metadata": {"name": f"hello-0000{number}", "labels": labels}, "spec": {}}


def test_list_shows_a_row_a_service(hearth, hello):
    heading, row = hearth("list").stdout.splitlines()
    assert heading.split() == ["NAME", "READY", "URL", "LATEST", "AGE", "REASON"]
    assert row.split()[:4] == [
        "hello", "True", "http://hello.default.localhost:8080", "hello-00001",
    ]  # fmt: skip


def test_list_prints_machines_a_list(hearth, hello):
    listed = json.loads(hearth("list", "-o", "json").stdout)
    assert [item["metadata"]["name"] for item in listed["items"]] == ["hello"]
    assert yaml.safe_load(hearth("list", "-o", "yaml").stdout) == listed
    assert hearth("list", "-o", "name").stdout == "hello\n"


def test_list_is_of_one_namespace_unless_told(hearth, hello):
    assert "no services" in hearth("list", "-n", "other").stdout
    assert hearth("list", "-A", "-n", "other").stdout.splitlines()[1].startswith("default")


def test_describe_shows_revisions_newest_first_with_their_share(hearth, hello):
    hello.add_pod("p1", "hello", "hello-00001", "")
    lines = hearth("describe", "hello").stdout.splitlines()
    rows = [line.split()[:2] for line in lines if line.startswith("hello-0000")]
    assert rows == [["hello-00002", "-"], ["hello-00001", "100%"]]
    assert any(line.startswith("p1 ") for line in lines)


def test_what_is_not_there_has_an_exit_code_of_its_own(hearth):
    for command in (["describe"], ["delete"], ["logs"], ["invoke"], ["traffic"]):
        assert 'services.serving.knative.dev "x" not found' in hearth(*command, "x", code=3).stderr


def test_delete_waits_until_it_is_gone(hearth, hello):
    assert hearth("delete", "hello").stdout == "service hello deleted\n"
    assert hello.api.all(SERVICE) == []


def test_what_the_server_refuses_is_told_in_its_words(hearth, hello):
    path = "/clusters/root" + SERVICE.path("default")
    hello.api.refuse["GET", path] = Forbidden("you may not list services")
    assert hearth("list", code=1).stderr == "hearth: you may not list services\n"


def test_traffic_shows_the_split_and_changes_it(hearth, hello):
    assert "hello-00001   100%" in hearth("traffic", "hello").stdout
    shown = hearth("traffic", "hello", "--to", "hello-00001=20", "--tag", "hello-00002=next")
    assert "hello-00001   20%" in shown.stdout
    by_tag = {t.get("tag"): t for t in hello.api.get(SERVICE, "hello")["spec"]["traffic"]}
    assert by_tag["next"]["revisionName"] == "hello-00002"
    assert hearth("traffic", "hello", "--untag", "never", code=3)
    hearth("traffic", "hello", "--untag", "next", "--latest", "100")
    [only] = hello.api.get(SERVICE, "hello")["spec"]["traffic"]
    assert (only["latestRevision"], only["percent"]) == (True, 100)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        pytest.param(["--to", "hello-00009=20"], 3, "hello-00009", id="no-such-revision"),
        pytest.param(["--to", "hello-00001"], 2, "REVISION=PERCENT", id="no-percent"),
        pytest.param(["--to", "hello-00001=200"], 2, "0 to 100", id="percent-too-large"),
        pytest.param(["--to", "hello-00001=60", "--to", "hello-00002=60"], 2, "120", id="over-100"),
        pytest.param(["--tag", "next"], 2, "REVISION=TAG", id="no-tag"),
    ],
)
def test_a_split_that_cannot_be_is_refused(hearth, hello, options, code, said):
    assert said in hearth("traffic", "hello", *options, code=code).stderr


def test_logs_of_one_pod_are_bare_and_of_several_carry_their_names(hearth, hello):
    assert "has no pods now" in hearth("logs", "hello").stderr
    hello.add_pod("p1", "hello", "hello-00001", "one\ntwo\n")
    assert hearth("logs", "hello").stdout == "one\ntwo\n"
    assert hearth("logs", "hello", "--tail", "1").stdout == "two\n"
    hello.add_pod("p2", "hello", "hello-00002", "three")
    assert hearth("logs", "hello").stdout == "[p1] one\n[p1] two\n[p2] three\n"
    assert hearth("logs", "hello", "--revision", "hello-00002").stdout == "three\n"


def test_a_log_that_cannot_be_had_is_told(hearth, hello):
    hello.add_pod("p1", "hello", "hello-00001", "one\n")
    done = hearth("logs", "hello", "--previous", code=1)
    assert "pod p1: previous terminated container not found" in done.stderr


def pool(platform, replicas, warm):
    spec = {"replicas": replicas, "preload": ["flask"], "template": {"spec": {"containers": []}}}
    status = {"readyReplicas": warm, "claimed": 7}
    wire = {"metadata": {"name": "python"}, "spec": spec, "status": status}
    platform.api.put(POD_POOL, wire, namespace=SYSTEM)


def test_pool_shows_lists_and_scales(hearth, platform):
    pool(platform, 4, 4)
    row = ["python", "4", "4", "7", "flask"]
    assert hearth("pool").stdout.splitlines()[1].split()[:5] == row
    assert hearth("pool", "list").stdout.splitlines()[1].split()[:5] == row
    assert hearth("pool", "scale", "4").stdout == "pool python scaled to 4\n"
    hearth("pool", "scale", "9", "--no-wait")
    assert platform.api.get(POD_POOL, "python", SYSTEM)["spec"]["replicas"] == 9
    done = hearth("pool", "scale", "9", "--wait-timeout", "0.2", code=4)
    assert "4 pods are warm after 0.2 s, expected 9" in done.stderr
    assert "flask" in hearth("pool", "describe").stdout
    assert hearth("pool", "describe", "none", code=3)


def test_status_fails_when_a_part_is_missing(hearth, platform):
    pool(platform, 4, 3)
    done = hearth("status", code=4)
    assert done.stderr == "hearth: not ready: controller, gateway, node\n"
    silent = "2026-01-01T00:00:00Z"
    for said_at, code in ((silent, 4), (NOW, 0)):
        ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": said_at}
        node = {"metadata": {"name": "here"}, "status": {"conditions": [ready]}}
        platform.api.put(NODE, node)
        for name, kind in (("gw-1", "gateway"), ("controller-default", "controller")):
            lease = {"renewTime": said_at, "leaseDurationSeconds": 30}
            meta = {"name": name, "labels": {f"hearth.dev/{kind}": "default"}}
            platform.api.put(LEASE, {"metadata": meta, "spec": lease}, namespace=SYSTEM)
        hearth("status", code=code)
    said = hearth("status").stdout
    assert "gw-1" in said
    assert "here" in said
    assert "python: 3 of 4 warm, 7 claimed" in said
    assert json.loads(hearth("status", "-o", "json").stdout)["node"]["ok"] is True


def test_version_names_both_sides(hearth):
    said = json.loads(hearth("version", "-o", "json").stdout)
    assert said["server"] == "v1.35.0+test"
    assert said["client"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_prints_a_script(hearth, shell):
    assert "_HEARTH_COMPLETE" in hearth("completion", shell).stdout


def test_every_command_shows_an_example(hearth):
    from hearth.cli.root import _SECTIONS

    for section in _SECTIONS.values():
        for name in section:
            said = hearth(name, "--help").stdout
            assert "Examples:" in said, name
            assert f"hearth {name}" in said.split("Examples:")[1], name


def test_following_prints_pods_to_come_until_it_is_interrupted(hello, capsysbinary):
    async def story():
        session = Session(Client(hello), "default", "")
        reader = _Reader(session, pod_selector("hello"), {"follow": "true"})
        following = asyncio.ensure_future(reader.follow())
        started = {"containerStatuses": [{"name": "user-container"}]}
        for name in ("p1", "p2"):
            hello.add_pod(name, "hello", "hello-00001", f"from {name}\n")
            hello.api.set_status(POD, name, started)
            await asyncio.sleep(1)
        following.cancel()
        await asyncio.wait([following])

    run_virtual(story())
    assert capsysbinary.readouterr().out == b"from p1\n[p2] from p2\n"
