"""What kn does with a running platform, as with Knative's."""

from __future__ import annotations

import json
import os
import re
import subprocess
from urllib.parse import quote

import pytest

from tests.conformance.conftest import program
from tests.system.running import eventually

IMAGE = "--image=hearth.dev/runtimes/python"


def code(answer):
    text = f"import os\ndef handle(request): return {answer!r} + os.environ.get('A', '')"
    return f"--annotation-revision=hearth.dev/code=data:text/x-python,{quote(text)}"


@pytest.fixture
def kn(running, tmp_path):
    """Run kn as an admin; services of the test are gone after it."""
    path = program("kn")
    environ = {"HOME": str(tmp_path), "KUBECONFIG": running.ready["kubeconfig"]}
    environ["PATH"] = os.environ["PATH"]

    def run(*arguments, fails=False):
        ran = subprocess.run(
            [path, *arguments], env=environ, capture_output=True, text=True, timeout=90, check=False
        )
        assert (ran.returncode != 0) == fails, (arguments, ran.stdout, ran.stderr)
        return ran.stderr if fails else ran.stdout

    yield run
    run("service", "delete", "--all", "--wait")


def test_a_service_lives_from_create_to_delete(running, kn):
    said = kn("service", "create", "one", IMAGE, code("v1"), "--env", "A=a", "--scale", "0..3")
    assert "Service 'one' created to latest revision 'one-00001' is available at URL" in said
    assert running.call("one").body == b"v1a"
    assert "updated to latest revision 'one-two'" in kn(
        "service", "update", "one", "--env", "A=b", "--revision-name", "two"
    )
    assert running.call("one").body == b"v1b"
    kn("service", "update", "one", "--tag", "one-00001=old", "--traffic", "old=50,@latest=50")
    rows = {line.split()[0]: line.split() for line in kn("revision", "list").splitlines()[1:]}
    assert rows["one-00001"][2:4] == ["50%", "old"]
    assert rows["one-two"][2] == "50%"
    assert {running.call("one").body for _ in range(30)} == {b"v1a", b"v1b"}
    said = kn("route", "describe", "one")
    assert re.search(r"50%\s+one-00001 #old", said)
    assert "http://old-one." in said
    kn("service", "update", "one", "--traffic", "one-00001=100", "--traffic", "@latest=0")
    assert {running.call("one").body for _ in range(10)} == {b"v1a"}
    kn("service", "update", "one", "--untag", "old")
    assert running.call("old-one").status == 404
    kn("service", "delete", "one", "--wait")
    assert "not found" in kn("service", "describe", "one", fails=True)
    assert running.call("one").status == 404


def test_apply_changes_only_what_differs(running, kn):
    kn("service", "apply", "two", IMAGE, code("v1"))
    assert "No changes to apply" in kn("service", "apply", "two", IMAGE, code("v1"))
    said = kn("service", "apply", "two", IMAGE, code("v2"))
    assert "two-00002" in said
    assert running.call("two").body == b"v2"


def test_what_is_exported_can_be_imported_with_its_revisions(running, kn, tmp_path):
    kn("service", "create", "three", IMAGE, code("v1"), "--env", "A=1")
    # A name of its own: kn creates three-00001 again, which must not be the new service's first.
    kn("service", "update", "three", "--env", "A=2", "--revision-name", "new")
    kn("service", "update", "three", "--traffic", "three-00001=60,@latest=40")
    exported = tmp_path / "export.json"
    exported.write_text(
        kn("service", "export", "three", "--with-revisions", "--mode=export", "-o", "json")
    )
    assert [
        one["metadata"]["name"] for one in json.loads(exported.read_text())["spec"]["revisions"]
    ]
    kn("service", "delete", "three", "--wait")
    eventually(lambda: "three-" not in kn("revision", "list"), 10, "its revisions are gone")
    assert "imported to latest revision" in kn("service", "import", str(exported))
    traffic = json.loads(kn("service", "describe", "three", "-o", "json"))["status"]["traffic"]
    shares = {one["revisionName"]: one["percent"] for one in traffic}
    assert shares == {"three-00001": 60, "three-new": 40}
    assert {running.call("three").body for _ in range(40)} == {b"v11", b"v12"}


def test_a_service_that_cannot_run_ends_the_wait_with_the_reason(running, kn):
    broken = "--annotation-revision=hearth.dev/code=data:text/x-python,import%20nope"
    said = kn("service", "create", "four", IMAGE, broken, fails=True)
    assert 'RevisionFailed: Revision "four-00001" failed with message:' in said
    assert "No module named 'nope'" in said
    assert re.search(r"!! Ready\s+\S+ RevisionFailed", kn("service", "describe", "four"))
    kn("service", "update", "four", code("well"))
    assert running.call("four").body == b"well"


def test_without_wait_kn_is_back_at_once_and_wait_waits(running, kn):
    kn("service", "create", "five", IMAGE, code("v1"), "--no-wait")
    assert "is ready" in kn("service", "wait", "five")
    assert running.call("five").body == b"v1"
    missing = ("service", "update", "five", "--traffic", "nope=100")
    assert "nope" in kn(*missing, fails=True)


def test_revisions_without_traffic_can_be_deleted_and_pruned(running, kn):
    kn("service", "create", "six", IMAGE, code("v1"))
    for number in (2, 3, 4):
        kn("service", "update", "six", "--env", f"A={number}")
    kn("revision", "delete", "six-00001", "--wait")
    eventually(lambda: "six-00003" in kn("revision", "delete", "--prune", "six"), 10, "pruned")
    left = [line.split()[0] for line in kn("revision", "list", "-s", "six").splitlines()[1:]]
    assert left == ["six-00004"]
    assert running.call("six").body == b"v14"


def test_domains_are_listed_and_described(running, kn):
    kn("service", "create", "seven", IMAGE, code("v1"))
    kn("domain", "create", "kn.example.com", "--ref", "ksvc:seven")
    assert "seven" in kn("domain", "list")
    assert "Kind:        Service" in kn("domain", "describe", "kn.example.com")
    kn("domain", "update", "kn.example.com", "--ref", "kroute:seven")
    assert "Kind:        Route" in kn("domain", "describe", "kn.example.com")
    kn("domain", "delete", "kn.example.com")


def test_a_rollout_goes_in_steps_and_is_waited_for(running, kn):
    own = "--annotation-service=serving.knative.dev/rollout-duration=4s"
    kn("service", "create", "eight", IMAGE, code("v1"), own)
    kn("service", "update", "eight", "--env", "A=2", "--no-wait")

    def shares():
        status = json.loads(kn("service", "describe", "eight", "-o", "json"))["status"]
        return [one["percent"] for one in status["traffic"]]

    eventually(lambda: len(shares()) == 2, 10, "the rollout began")
    seen = [shares()[-1]]
    while len(found := shares()) == 2:
        assert sum(found) == 100
        seen.append(found[-1])
    assert seen == sorted(seen)
    assert len(set(seen)) > 2
    assert "is ready" in kn("service", "wait", "eight")
    assert {running.call("eight").body for _ in range(10)} == {b"v12"}
