"""A full disk: writes are refused in words, what runs goes on, and it heals once there is room."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.system.running import up

FUNCTION = "def handle(request):\n    return 'here'\n"


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs to be allowed to mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def test_a_full_disk_loses_nothing_and_heals(small_disk, source):
    folder = source(app__py=FUNCTION)
    with up(small_disk / "state", pool=1) as running:
        running.hearth("deploy", "before", "--source", folder)
        filler = small_disk / "filler"
        with filler.open("wb") as out, pytest.raises(OSError, match="No space"):
            while True:
                out.write(b"\0" * 2**20)
                out.flush()
        done = running.hearth("deploy", "during", "--source", folder, check=False)
        assert done.returncode == 1
        assert "full" in done.stderr or "No space" in done.stderr
        assert running.call("before").body == b"here"
        assert running.hearth("list").returncode == 0
        filler.unlink()
        running.hearth("deploy", "after", "--source", folder)
        assert running.call("after").body == b"here"
