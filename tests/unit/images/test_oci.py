"""Archives of images depend on the files in them alone, and hold what containerd asks for."""

from __future__ import annotations

import gzip
import io
import json
import tarfile

import pytest
from tools.images.oci import File, Image, digest_of, make_layer, tree_of, write_archive
from tools.images.wheels import locked

LOCK = """\
a-one==1.0 \\
    --hash=sha256:aa
    # via
    #   b-two
b-two==2.0 ; sys_platform == 'linux' \\
    --hash=sha256:bb
"""


def members(blob):
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob))) as tar:
        return {entry.name: entry for entry in tar}


def image_of(*layers):
    return Image("hearth.dev/x:1", layers, ("/usr/bin/x",), {"A": "b"}, {"made": "from"})


def blobs(path):
    with tarfile.open(path) as tar:
        return {e.name: tar.extractfile(e).read() for e in tar if e.isfile()}


def test_the_order_of_files_does_not_matter():
    tree = {"b/x": File(b"1"), "a": File(link="b/x", mode=0o777)}
    assert make_layer(tree).blob == make_layer(dict(reversed(tree.items()))).blob


def test_a_layer_has_folders_links_and_modes():
    found = members(make_layer({"b/c/x": File(b"1", mode=0o755), "a": File(link="b")}).blob)
    assert [*found] == ["a", "b", "b/c", "b/c/x"]
    assert found["b"].isdir()
    assert found["b/c/x"].mode == 0o755
    assert found["a"].linkname == "b"
    assert {entry.mtime for entry in found.values()} == {0}
    assert {entry.uid for entry in found.values()} == {0}


def test_an_archive_says_by_name_what_it_is_and_runs_as_nobody(tmp_path):
    layer = make_layer({"x": File(b"1")})
    digest = write_archive(image_of(layer), "amd64", tmp_path / "x.tar")
    found = blobs(tmp_path / "x.tar")
    [top] = json.loads(found["index.json"])["manifests"]
    assert top["annotations"]["io.containerd.image.name"] == "hearth.dev/x:1"
    assert top["digest"] == digest
    manifest = json.loads(found[f"blobs/sha256/{digest.removeprefix('sha256:')}"])
    assert [each["digest"] for each in manifest["layers"]] == [layer.digest]
    for each in (manifest["config"], *manifest["layers"]):
        blob = found[f"blobs/sha256/{each['digest'].removeprefix('sha256:')}"]
        assert (digest_of(blob), len(blob)) == (each["digest"], each["size"])
    config = json.loads(found[f"blobs/sha256/{manifest['config']['digest'][7:]}"])
    assert config["config"]["User"] == "65532:65532"
    assert config["rootfs"]["diff_ids"] == [layer.diff_id]


def test_the_same_image_is_the_same_archive(tmp_path):
    for name in ("a", "b"):
        write_archive(image_of(make_layer({"x": File(b"1")})), "amd64", tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_tree_is_what_is_in_a_folder(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "run").write_bytes(b"1")
    (tmp_path / "d" / "run").chmod(0o700)
    (tmp_path / "l").symlink_to("d/run")
    assert tree_of(tmp_path, "opt") == {
        "opt/d/run": File(b"1", mode=0o755),
        "opt/l": File(link="d/run", mode=0o777),
    }


def test_a_part_of_the_lock_file_keeps_its_hashes():
    assert (
        locked(LOCK, {"b-two"}).strip() == LOCK.partition("\nb-two")[2].join(["b-two", ""]).strip()
    )


def test_what_is_not_locked_is_not_installed():
    with pytest.raises(SystemExit, match="c-three"):
        locked(LOCK, {"c-three"})
