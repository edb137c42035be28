import json
import os
from pathlib import Path

import pytest

from hearth.cli.errors import Exit, Failure
from hearth.cli.locate import find_kubeconfig, read_ready, state_home

NO_PID = 2**22 + 1  # above the largest that Linux gives


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def note_up(home, pid):
    state = home / "state"
    state.mkdir()
    said = {"gateway": "http://g", "api": "https://a", "kubeconfig": "/k"}
    (state / "ready.json").write_text(json.dumps(said | ({"pid": pid} if pid else {})))
    pointer = home / "xdg" / "hearth" / "last"
    pointer.parent.mkdir(parents=True)
    pointer.write_text(f"{state}\n")
    return {"XDG_STATE_HOME": str(home / "xdg")}


def test_what_is_asked_for_comes_first(home):
    environ = {**note_up(home, os.getpid()), "KUBECONFIG": "/env"}
    assert find_kubeconfig(Path("/asked"), environ) == Path("/asked")
    assert find_kubeconfig(None, environ) == Path("/env")


def test_of_several_kubeconfigs_the_first_that_exists_is_used(home):
    (home / "second").write_text("")
    environ = {"KUBECONFIG": f"{home}/first:{home}/second"}
    assert find_kubeconfig(None, environ) == home / "second"
    assert find_kubeconfig(None, {"KUBECONFIG": "/a:/b"}) == Path("/a")


@pytest.mark.parametrize("pid", [os.getpid(), 1, None])
def test_the_last_hearth_up_is_found(home, pid):
    assert find_kubeconfig(None, note_up(home, pid)) == Path("/k")


def test_a_hearth_up_that_has_ended_is_told_not_passed_over(home):
    (home / ".kube").mkdir()
    (home / ".kube" / "config").write_text("")
    environ = note_up(home, NO_PID)
    with pytest.raises(Failure, match="no hearth up is running") as told:
        find_kubeconfig(None, environ)
    assert told.value.exit_code == Exit.UNREACHABLE


def test_kubectls_own_is_the_last_resort(home):
    with pytest.raises(Failure, match="no server is known"):
        find_kubeconfig(None, {})
    (home / ".kube").mkdir()
    (home / ".kube" / "config").write_text("")
    assert find_kubeconfig(None, {}) == home / ".kube" / "config"


def test_an_unreadable_ready_file_counts_as_none(tmp_path):
    (tmp_path / "ready.json").write_text("{")
    assert read_ready(tmp_path) is None


def test_the_state_is_where_the_desktop_says(home):
    assert state_home({"XDG_STATE_HOME": "/s"}) == Path("/s/hearth")
    assert state_home({}) == home / ".local" / "state" / "hearth"
