"""Packages are checked before anything of them is used."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
import stat
import struct
import tarfile
import zipfile

import pytest

from hearth.loader import packages
from hearth.loader.packages import CodeError, cache_name, check_digest, install, obtain
from hearth.loader.protocol import Package


def zipped(*entries):
    """A zip of (name, content, mode) entries; mode 0 is none."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return file.getvalue()


def tarred(*members, mode="w:gz"):
    """A tar of TarInfo, or (name, content)."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return file.getvalue()


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def package_of(content, **changes):
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return Package(**{"url": "https://code/app", "digest": digest, **changes})


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(zipped(("app.py", b"1", 0), ("sub/run", b"2", 0o100755)), id="zip"),
        pytest.param(tarred(("app.py", b"1"), ("sub/run", b"2")), id="tar-gz"),
        pytest.param(tarred(("app.py", b"1"), ("sub/run", b"2"), mode="w"), id="tar"),
    ],
)
def test_an_archive_is_unpacked_whole_under_its_digest(tmp_path, content):
    package = package_of(content)
    folder = install(package, content, tmp_path)
    assert folder == tmp_path / cache_name(package)
    assert ((folder / "app.py").read_bytes(), (folder / "sub/run").read_bytes()) == (b"1", b"2")
    assert [p.name for p in tmp_path.iterdir()] == [folder.name], "nothing else is left"


def test_of_modes_only_the_x_bit_is_kept(tmp_path):
    content = zipped(("run", b"", 0o104777), ("data", b"", 0o100600))
    folder = install(package_of(content), content, tmp_path)
    modes = [stat.S_IMODE((folder / name).stat().st_mode) for name in ("run", "data")]
    assert modes == [0o755, 0o644]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(zipped(("../out", b"", 0)), "leaves the archive", id="zip-parent"),
        pytest.param(zipped(("/etc/out", b"", 0)), "leaves the archive", id="zip-absolute"),
        pytest.param(zipped(("a\\..\\b", b"", 0)), "leaves the archive", id="zip-backslash"),
        pytest.param(zipped(("link", b"/etc", 0o120777)), "is a link or a device", id="zip-link"),
        pytest.param(zipped(("dev", b"", 0o020666)), "is a link or a device", id="zip-device"),
        pytest.param(
            zipped(("a", b"", 0), ("a/b", b"", 0)),
            "File exists|Not a dir",
            id="zip-file-as-directory",
        ),
        pytest.param(zipped(("n" * 300, b"", 0)), "too long", id="zip-long-name"),
        pytest.param(tarred(("../out", b"")), "leaves the archive", id="tar-parent"),
        pytest.param(tarred(("/etc/out", b"")), "leaves the archive", id="tar-absolute"),
        pytest.param(
            tarred(special("l", tarfile.SYMTYPE, "/etc")), "is a link or a device", id="tar-symlink"
        ),
        pytest.param(
            tarred(special("l", tarfile.LNKTYPE, "x")), "is a link or a device", id="tar-hardlink"
        ),
        pytest.param(tarred(special("d", tarfile.CHRTYPE)), "is a link or a device", id="tar-dev"),
        pytest.param(
            tarred(special("f", tarfile.FIFOTYPE)), "is a link or a device", id="tar-fifo"
        ),
        pytest.param(b"garbage", "neither a zip nor a tar", id="garbage"),
        pytest.param(b"", "neither a zip nor a tar", id="empty"),
        pytest.param(zipped(("a", b"x" * 999, 0))[:100], "not a good zip", id="zip-cut"),
        pytest.param(tarred(("a", os.urandom(9999)))[:-500], "neither a zip", id="tar-cut"),
    ],
)
def test_a_bad_archive_is_refused_and_leaves_nothing(tmp_path, content, said):
    cache = tmp_path / "cache"
    with pytest.raises(CodeError, match=said) as refused:
        install(package_of(content), content, cache)
    assert refused.value.reason == "CodeInvalid"
    assert list(cache.iterdir()) == []
    assert list(tmp_path.iterdir()) == [cache]


def test_another_digest_is_refused_before_anything_is_unpacked(tmp_path):
    package = Package("https://code/app", "sha256:" + "0" * 64)
    with pytest.raises(CodeError, match=r"has digest sha256:\w+, expected sha256:0000"):
        install(package, zipped(("app.py", b"", 0)), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "FILES_MAX", 2)
    for content in (zipped(*[(f"f{i}", b"", 0) for i in range(3)]),
                    tarred(*[(f"f{i}", b"") for i in range(3)])):  # fmt: skip
        with pytest.raises(CodeError, match="has 3 files, at most 2"):
            install(package_of(content), content, tmp_path)


def test_too_much_is_refused_before_it_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "UNPACKED_MAX_BYTES", 1000)
    for content in (zipped(("big", bytes(1001), 0)), tarred(("big", bytes(1001)))):
        with pytest.raises(CodeError, match="unpacks to 1001 bytes, at most 1000"):
            install(package_of(content), content, tmp_path)


def test_a_zip_whose_directory_would_fill_the_memory_is_refused(tmp_path):
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 2**31, 0, 0)
    with pytest.raises(CodeError, match="has too many files"):
        install(package_of(b"PK\3\4" + end), b"PK\3\4" + end, tmp_path)


def test_a_full_disk_is_not_the_codes_fault(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(packages.shutil, "copyfileobj", full)
    content = zipped(("app.py", b"1", 0))
    with pytest.raises(CodeError, match="No space left") as refused:
        install(package_of(content), content, tmp_path / "cache")
    assert refused.value.reason == "CodeUnavailable"
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(
    ("package", "said"),
    [
        pytest.param(Package("https://x/", "../../etc"), "expected sha256: and 64", id="path"),
        pytest.param(Package("https://x/", "sha256:AB"), "expected sha256: and 64", id="short"),
        pytest.param(Package("https://x/"), "has no digest", id="https-without"),
        pytest.param(Package("hearth:///x"), "has no digest", id="hearth-without"),
        pytest.param(Package("file:///x"), None, id="file-may"),
        pytest.param(Package("data:,x"), None, id="data-may"),
    ],
)
def test_a_digest_is_one_and_is_there_where_it_must_be(package, said):
    if said is None:
        check_digest(package)
        return
    with pytest.raises(CodeError, match=said):
        check_digest(package)


def test_a_directory_is_used_in_place(tmp_path):
    assert obtain(Package(f"file://{tmp_path}"), tmp_path / "cache") == tmp_path
    with pytest.raises(CodeError, match="there is no") as refused:
        obtain(Package(f"file://{tmp_path}/none"), tmp_path / "cache")
    assert refused.value.reason == "CodeUnavailable"


def test_a_local_archive_that_changed_is_unpacked_anew(tmp_path):
    archive = tmp_path / "app.zip"
    for version in (b"one", b"three"):
        archive.write_bytes(zipped(("app.py", version, 0)))
        found = obtain(Package(f"file://{archive}"), tmp_path / "cache")
        assert (found / "app.py").read_bytes() == version


@pytest.mark.parametrize(
    ("url", "name", "text"),
    [
        pytest.param("data:text/x-python,a%20=%201\nb = 2", "app.py", "a = 1\nb = 2", id="plain"),
        pytest.param(
            "data:;base64," + base64.b64encode(b"a = 1").decode(), "app.py", "a = 1", id="base64"
        ),
        pytest.param(
            "data:;base64," + base64.b64encode(zipped(("main.py", b"x", 0))).decode(),
            "main.py", "x", id="zip",
        ),
    ],
)  # fmt: skip
def test_a_data_url_is_a_file_or_a_zip(tmp_path, url, name, text):
    assert (obtain(Package(url), tmp_path) / name).read_text() == text


@pytest.mark.parametrize(
    ("url", "said"),
    [
        pytest.param("data:nothing", "has no comma", id="comma"),
        pytest.param("data:;base64,A", "is not base64", id="base64"),
        pytest.param("ftp://x/y", "scheme 'ftp' is not known", id="scheme"),
    ],
)
def test_a_bad_url_is_refused(tmp_path, url, said):
    with pytest.raises(CodeError, match=said):
        obtain(Package(url, "" if url.startswith("data") else "sha256:" + "0" * 64), tmp_path)


def test_a_cached_package_needs_no_source(tmp_path):
    content = gzip.compress(tarred(("app.py", b"1"), mode="w"))
    package = package_of(content, url="file:///gone.tar.gz")
    folder = install(package, content, tmp_path)
    assert install(package, content, tmp_path) == folder
    (tmp_path / "gone").write_bytes(b"")
    assert obtain(Package(f"file://{tmp_path}/gone", package.digest), tmp_path) == folder
