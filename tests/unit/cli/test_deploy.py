import json

import pytest

from hearth.api.errors import Conflict
from hearth.api.kinds import SERVICE

FUNCTION = {"app.py": "def handle(request):\n    return 'hi'\n"}


def template(platform, name="hello"):
    return platform.api.get(SERVICE, name)["spec"]["template"]


def test_the_url_is_all_that_is_printed_and_the_progress_is_on_stderr(hearth, source):
    done = hearth("deploy", "hello", "--source", str(source(FUNCTION)))
    assert done.stdout == "http://hello.default.localhost:8080\n"
    assert "service   hello is created" in done.stderr
    assert "ready     revision hello-00001" in done.stderr


def test_the_code_is_in_the_store_under_the_digest_that_the_template_names(
    hearth, platform, source
):
    hearth("deploy", "hello", "--source", str(source(FUNCTION)))
    said = template(platform)["metadata"]["annotations"]
    digest = said["hearth.dev/code-digest"]
    assert said["hearth.dev/code"] == f"hearth:///namespaces/default/packages/{digest}"
    assert digest in platform.packages
    [container] = template(platform)["spec"]["containers"]
    assert container["image"] == "hearth.dev/runtimes/python"


def test_the_same_source_again_sends_nothing_and_changes_nothing(hearth, platform, source):
    folder = str(source(FUNCTION))
    hearth("deploy", "hello", "--source", folder)
    done = hearth("deploy", "hello", "--source", folder)
    assert platform.puts == 1
    assert "hello is unchanged" in done.stderr
    assert platform.api.get(SERVICE, "hello")["metadata"]["generation"] == 1


def test_settings_of_before_stay_unless_given_again(hearth, platform, source):
    folder = str(source(FUNCTION))
    hearth("deploy", "hello", "--source", folder, "--env", "A=1", "--min-scale", "2")
    hearth("deploy", "hello", "--source", folder, "--env", "B=2", "--concurrency", "5")
    [container] = template(platform)["spec"]["containers"]
    assert container["env"] == [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    assert template(platform)["spec"]["containerConcurrency"] == 5
    annotations = template(platform)["metadata"]["annotations"]
    assert annotations["autoscaling.knative.dev/min-scale"] == "2"


def test_an_entry_point_becomes_a_variable(hearth, platform, source):
    folder = source({"server.py": "app = None"})
    hearth("deploy", "hello", "--source", str(folder), "--entrypoint", "server:app")
    [container] = template(platform)["spec"]["containers"]
    assert container["env"] == [{"name": "HEARTH_ENTRYPOINT", "value": "server:app"}]


def test_json_output_is_the_service(hearth, source):
    done = hearth("deploy", "hello", "--source", str(source(FUNCTION)), "-o", "json")
    assert json.loads(done.stdout)["metadata"]["name"] == "hello"


def test_a_source_without_entry_point_is_refused_before_anything_is_sent(hearth, platform, source):
    done = hearth("deploy", "hello", "--source", str(source({"readme.txt": "hi"})), code=1)
    for looked_for in ("app.py", "main.py", "Procfile", "handle", "HEARTH_ENTRYPOINT"):
        assert looked_for in done.stderr
    assert platform.packages == {}
    assert platform.api.all(SERVICE) == []


@pytest.mark.parametrize("where", ["nowhere", "file"])
def test_a_source_that_is_no_directory_is_refused(hearth, tmp_path, where):
    (tmp_path / "file").write_text("x")
    done = hearth("deploy", "hello", "--source", str(tmp_path / where), code=1)
    assert f"source {tmp_path / where}" in done.stderr
    assert "expected a directory" in done.stderr


def test_a_failed_app_ends_with_its_reason_and_its_last_words(hearth, platform, source):
    platform.verdict = ("False", "RevisionFailed", "exit code 3")
    platform.add_pod("p1", "hello", "hello-00001", "starting\ngoing away\n")
    done = hearth("deploy", "hello", "--source", str(source(FUNCTION)), code=4)
    assert "service hello: failed: RevisionFailed: exit code 3" in done.stderr
    assert "going away" in done.stderr
    assert done.stdout == ""


def test_an_app_that_is_not_ready_in_time_ends_with_what_it_waits_for(hearth, platform, source):
    platform.verdict = ("Unknown", "Deploying", "")
    done = hearth(
        "deploy", "hello", "--source", str(source(FUNCTION)), "--wait-timeout", "0.2", code=4
    )
    assert "not ready within 0.2 s: Deploying" in done.stderr


def test_without_waiting_it_ends_at_once(hearth, platform, source):
    platform.verdict = ("Unknown", "Deploying", "")
    hearth("deploy", "hello", "--source", str(source(FUNCTION)), "--no-wait")


def test_no_traffic_needs_a_revision_to_leave_it_with(hearth, platform, source):
    folder = source(FUNCTION)
    refused = hearth("deploy", "hello", "--source", str(folder), "--no-traffic", code=1)
    assert "without --no-traffic first" in refused.stderr
    hearth("deploy", "hello", "--source", str(folder))
    (folder / "app.py").write_text("def handle(request):\n    return 'ho'\n")
    hearth("deploy", "hello", "--source", str(folder), "--no-traffic")
    [only] = platform.api.get(SERVICE, "hello")["spec"]["traffic"]
    assert (only["revisionName"], only["percent"]) == ("hello-00001", 100)


def test_a_write_by_others_in_between_is_retried_and_then_told(hearth, platform, source):
    folder = str(source(FUNCTION))
    hearth("deploy", "hello", "--source", folder)
    path = "/clusters/root" + SERVICE.path("default", "hello")
    platform.api.refuse["PATCH", path] = Conflict("changed")
    done = hearth("deploy", "hello", "--source", folder, "--env", "A=1", code=1)
    assert "others kept writing it" in done.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        ("--env", "A"),
        ("--env", "=1"),
        ("--annotation", "-"),
        ("--port", "http"),
        ("--port", "h3:8080"),
        ("--concurrency", "-1"),
        ("--runtime", "cobol"),
    ],
)
def test_a_wrong_option_is_told_with_what_is_expected(hearth, source, wrong):
    done = hearth("deploy", "hello", "--source", str(source(FUNCTION)), *wrong, code=2)
    assert wrong[0] in done.stderr
