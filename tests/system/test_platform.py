"""The life of the platform itself: start, stop, kill, restart, and what stands in its way."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import threading
import time

import pytest

from hearth.api.kinds import POD
from hearth.api.meta import is_condition_true, name_of, namespace_of
from hearth.api.names import PODPOOL_LABEL, SERVICE_LABEL, SYSTEM_NAMESPACE
from tests.system.running import (
    HEARTH,
    command_line,
    eventually,
    is_alive,
    processes_below,
    start,
    up,
)

FUNCTION = "def handle(request):\n    return 'here'\n"


def test_ctrl_c_ends_everything_within_5_seconds(tmp_path, source):
    running = start(tmp_path / "state")
    running.hearth("deploy", "a", "--source", source(app__py=FUNCTION))
    below = processes_below(running.process.pid)
    took_s = running.stop()
    assert took_s < 5
    assert running.process.returncode == 0
    assert [pid for pid in below if is_alive(pid)] == []
    assert not (running.state / "ready.json").exists()


def test_kill_9_leaves_no_orphan_and_the_next_start_serves_again(tmp_path, source):
    state = tmp_path / "state"
    running = start(state)
    running.hearth("deploy", "again", "--source", source(app__py=FUNCTION))
    assert running.call("again").body == b"here"
    below = processes_below(running.process.pid)
    running.process.kill()
    running.process.wait()
    eventually(lambda: not [p for p in below if is_alive(p)], 10, "no process is left")
    with up(state) as second:
        assert "again" in second.hearth("list").stdout
        assert second.call("again").body == b"here"


def test_only_the_owner_can_read_state_and_kubeconfig(running):
    assert running.state.stat().st_mode & 0o077 == 0
    assert os.stat(running.ready["kubeconfig"]).st_mode & 0o077 == 0


def failing_up(*flags):
    return subprocess.run(
        [HEARTH, "up", "--pool", "1", *flags], capture_output=True, text=True, timeout=30,
        check=False,
    )  # fmt: skip


def test_a_port_in_use_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for flags in (("--http-port", port, "--api-port", "0"),
                      ("--http-port", "0", "--api-port", port)):  # fmt: skip
            done = failing_up("--state", str(tmp_path / "state"), *flags)
            assert done.returncode != 0
            assert port in done.stderr
            assert "Traceback" not in done.stderr


def test_a_state_directory_in_use_is_refused(running):
    done = failing_up("--state", str(running.state), "--http-port", "0", "--api-port", "0")
    assert done.returncode != 0
    assert str(running.process.pid) in done.stderr
    assert "Traceback" not in done.stderr
    assert running.hearth("status").returncode == 0


def test_a_state_of_a_newer_version_is_refused_untouched(tmp_path):
    state = tmp_path / "state"
    start(state, pool=0).stop()
    [file] = [f for f in state.rglob("*") if f.suffix in (".db", ".sqlite", ".sqlite3")]
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA user_version = 9999")
    database.close()
    done = failing_up("--state", str(state), "--http-port", "0", "--api-port", "0")
    assert done.returncode != 0
    assert "9999" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unreadable_state_is_refused(tmp_path):
    state = tmp_path / "state"
    state.write_text("a file, not a directory")
    done = failing_up("--state", str(state), "--http-port", "0", "--api-port", "0")
    assert done.returncode != 0
    assert str(state) in done.stderr
    assert "Traceback" not in done.stderr


def test_envoy_killed_is_back_within_a_few_seconds(tmp_path, source):
    with up(tmp_path / "state") as running:
        running.hearth("deploy", "e", "--source", source(app__py=FUNCTION))
        [envoy] = [
            pid
            for pid in processes_below(running.process.pid)
            if "envoy" in command_line(pid).split(" ")[0]
        ]
        os.kill(envoy, signal.SIGKILL)

        def answers():
            try:
                return running.call("e").body == b"here"
            except OSError:
                return False

        eventually(answers, 5, "the gateway answers again")


def test_a_warm_pod_killed_while_it_is_claimed_costs_no_request(tmp_path, source):
    with up(tmp_path / "state", pool=3) as running:
        code = "import time\ntime.sleep(0.5)\ndef handle(request):\n    return 'here'\n"
        running.hearth("deploy", "k", "--source", source(app__py=code), "--initial-scale", "0")
        answers = []
        caller = threading.Thread(target=lambda: answers.append(running.call("k")))
        caller.start()
        time.sleep(0.25)  # held: the loader imports the code just now
        victims = [
            pid for pid in processes_below(running.process.pid) if "k-00001" in command_line(pid)
        ]
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        caller.join(60)
        assert victims, "no process carried the revision's name while its code was imported"
        assert (answers[0].status, answers[0].body) == (200, b"here")


def test_a_client_that_leaves_while_held_disturbs_nobody(running, source):
    code = "import time\ntime.sleep(1)\ndef handle(request):\n    return 'here'\n"
    running.hearth("deploy", "left", "--source", source(app__py=code), "--initial-scale", "0")
    with socket.create_connection(("127.0.0.1", running.port)) as client:
        host = f"left.default.localhost:{running.port}"
        client.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        time.sleep(0.2)
    assert running.call("left").body == b"here"
    running.hearth("delete", "left")


def test_the_pool_is_filled_again_after_a_claim(running, source):
    running.hearth("deploy", "refill", "--source", source(app__py=FUNCTION))
    assert running.call("refill").status == 200

    def warm():
        found = running.api(
            lambda client: client.list(POD, SYSTEM_NAMESPACE, label_selector=PODPOOL_LABEL)
        )
        return sum(is_condition_true(pod, "Ready") for pod in found.items) == 3

    eventually(warm, 20, "three warm pods again")
    pods = running.api(
        lambda client: client.list(POD, label_selector=f"{SERVICE_LABEL}=refill")
    ).items
    assert [namespace_of(pod) for pod in pods] == ["default"], [name_of(p) for p in pods]
    running.hearth("delete", "refill")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda s: s["spec"]["template"]["spec"].update(colour="red"),
                     "spec.template.spec.colour", id="unknown-field"),
        pytest.param(lambda s: s["spec"]["template"]["spec"].update(containerConcurrency="many"),
                     "containerConcurrency", id="wrong-type"),
        pytest.param(lambda s: s["spec"]["template"]["spec"].update(containers=[]),
                     "spec.template.spec.containers", id="no-container"),
        pytest.param(lambda s: s["spec"]["template"]["spec"]["containers"][0].update(
                     ports=[{"containerPort": 1}, {"containerPort": 2}]),
                     "ports", id="two-ports"),
        pytest.param(lambda s: s["metadata"].update(name="Bad_Name"), "metadata.name",
                     id="bad-name"),
    ],
)  # fmt: skip
def test_a_bad_manifest_is_refused_with_the_path(running, change, said):
    import msgspec

    from hearth.api.errors import ApiError

    wire = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": "bad", "namespace": "default"},
        "spec": {"template": {
            "metadata": {"annotations": {"hearth.dev/code": "data:text/x-python,app=1"}},
            "spec": {"containers": [{"image": "hearth.dev/runtimes/python"}]},
        }},
    }  # fmt: skip
    change(wire)
    path = "/apis/serving.knative.dev/v1/namespaces/default/services"
    with pytest.raises(ApiError) as refused:
        running.api(
            lambda client: client.raw(
                "POST", path, query={"fieldValidation": "Strict"}, body=msgspec.json.encode(wire),
                headers={"content-type": "application/json"},
            )
        )  # fmt: skip
    assert refused.value.code in (400, 422)
    assert said in str(refused.value)
