import io
import os
import zipfile

import pytest

from hearth.cli import source as source_module
from hearth.cli.errors import Failure
from hearth.cli.source import File, check_size, find_files, pack
from hearth.loader.packages import install
from hearth.loader.protocol import Package


def paths(folder):
    return [file.path for file in find_files(folder)]


def test_history_environments_and_ignored_files_are_left_out(source):
    empty = (
        "app.py", "lib/a.py", ".git/HEAD", ".venv/x", "lib/__pycache__/a.pyc", "node_modules/x.js",
        "notes.md",
    )  # fmt: skip
    patterns = {".hearthignore": "*.md\n", ".gitignore": "*.py\n"}
    folder = source({**dict.fromkeys(empty, ""), **patterns})
    assert paths(folder) == [".gitignore", ".hearthignore", "app.py", "lib/a.py"]


def test_gitignore_counts_where_there_is_no_hearthignore(source):
    assert paths(source({"app.py": "", "a.log": "", ".gitignore": "*.log\n"})) == [
        ".gitignore", "app.py",
    ]  # fmt: skip


def test_equal_sources_give_equal_bytes_whatever_their_times(source, tmp_path):
    folder = source({"b.py": "b", "a/c.py": "c"})
    first = pack(find_files(folder), "source")
    os.utime(folder / "b.py", (1, 1))
    assert pack(find_files(folder), "source") == first
    (folder / "b.py").chmod(0o755)
    assert pack(find_files(folder), "source").digest != first.digest


def test_the_loader_takes_the_package_as_it_is(source, tmp_path):
    folder = source({"app.py": "code", "bin/run": "#!/bin/sh\n"})
    (folder / "bin" / "run").chmod(0o755)
    archive = pack(find_files(folder), "source")
    unpacked = install(Package("https://x", archive.digest), archive.content, tmp_path / "cache")
    assert (unpacked / "app.py").read_text() == "code"
    assert os.access(unpacked / "bin" / "run", os.X_OK)


def test_links_that_stay_inside_are_followed(source):
    folder = source({"real/app.py": "code"})
    (folder / "app.py").symlink_to("real/app.py")
    (folder / "alias").symlink_to("real")
    archive = pack(find_files(folder), "source")
    with zipfile.ZipFile(io.BytesIO(archive.content)) as unpacked:
        assert unpacked.namelist() == ["alias/app.py", "app.py", "real/app.py"]
        assert unpacked.read("app.py") == b"code"


@pytest.mark.parametrize(
    ("link", "target", "said"),
    [
        pytest.param("out", "/etc/hostname", "leaves the source", id="absolute"),
        pytest.param("out", "../secret", "leaves the source", id="relative"),
        pytest.param("gone", "nothing", "link to nowhere", id="dangling"),
        pytest.param("loop", ".", "link to a directory that it is in", id="loop"),
        pytest.param("self", "self", "link to nowhere", id="itself"),
    ],
)
def test_other_links_are_refused(source, tmp_path, link, target, said):
    folder = source({"app.py": ""})
    (tmp_path / "secret").write_text("x")
    (folder / link).symlink_to(target)
    with pytest.raises(Failure, match=said) as refused:
        find_files(folder)
    assert link in refused.value.message


def test_what_is_neither_file_nor_directory_is_refused(source):
    folder = source({"app.py": ""})
    os.mkfifo(folder / "pipe")
    with pytest.raises(Failure, match="pipe: is neither"):
        find_files(folder)


@pytest.mark.parametrize("name", [b"back\\slash", b"\xff"])
def test_names_that_a_package_cannot_hold_are_refused(source, name):
    folder = source({"app.py": ""})
    with open(os.path.join(os.fsencode(folder), name), "w"):
        pass
    with pytest.raises(Failure, match="name"):
        find_files(folder)


def test_a_source_over_the_limit_names_its_largest_files(tmp_path):
    files = [File(f"f{n}", tmp_path, n * 2**28, False) for n in range(1, 4)]
    with pytest.raises(Failure, match=r"1\.5 GiB, at most 1\.0 GiB; the largest: f3 \(768 MiB\)"):
        check_size("source x", files)
    with pytest.raises(Failure, match="50001 files, at most 50000"):
        check_size("source x", [File("f", tmp_path, 0, False)] * 50_001)


def test_a_package_over_the_limit_is_refused(source, monkeypatch):
    monkeypatch.setattr(source_module, "PACKAGE_MAX_BYTES", 10)
    with pytest.raises(Failure, match="at most 10 B are taken"):
        pack(find_files(source({"app.py": "x"})), "source")
