"""A reader of a volume sees all of the old files or all of the new ones."""

from __future__ import annotations

import os

from hearth.node.atomic import write_files
from hearth.node.core.payload import File


def shown(directory):
    return {
        str(path.relative_to(directory)): path.read_text()
        for path in directory.rglob("*")
        if path.is_file() and not path.relative_to(directory).parts[0].startswith("..")
    }


def test_files_appear_with_their_modes(tmp_path):
    assert write_files(tmp_path, {"a": File(b"1", 0o640), "deep/b": File(b"2", 0o600)})
    assert (tmp_path / "deep" / "b").read_text() == "2"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
    assert os.readlink(tmp_path / "a") == "..data/a"


def test_a_change_replaces_everything_at_once_and_leaves_nothing(tmp_path):
    write_files(tmp_path, {"a": File(b"1", 0o644), "gone": File(b"x", 0o644)})
    held = (tmp_path / "a").open()
    before = os.readlink(tmp_path / "..data")
    assert write_files(tmp_path, {"a": File(b"2", 0o644), "new": File(b"y", 0o644)})
    assert os.readlink(tmp_path / "..data") != before
    assert shown(tmp_path) == {"a": "2", "new": "y"}
    with held:
        assert held.read() == "1"
    assert len([p for p in tmp_path.iterdir() if p.name.startswith("..")]) == 2


def test_the_same_files_are_not_written_again(tmp_path):
    files = {"a": File(b"1", 0o644)}
    write_files(tmp_path, files)
    before = os.readlink(tmp_path / "..data")
    assert not write_files(tmp_path, files)
    assert os.readlink(tmp_path / "..data") == before
    assert write_files(tmp_path, {"a": File(b"1", 0o600)})


def test_the_pods_group_may_read(tmp_path):
    write_files(tmp_path, {"a": File(b"1", 0o600)}, group=os.getgid())
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
