import zipfile
from io import BytesIO

import pytest

from hearth.cli import layer as layer_module
from hearth.cli.errors import Failure
from hearth.cli.layer import build_layer, cache_folder, cached_layer, has_requirements


@pytest.mark.parametrize(
    ("files", "has"),
    [
        pytest.param({"app.py": ""}, False, id="no-file"),
        pytest.param({"requirements.txt": "\n# nothing\n"}, False, id="only-comments"),
        pytest.param({"requirements.txt": "flask\n"}, True, id="one"),
    ],
)
def test_whether_there_are_requirements(source, files, has):
    assert has_requirements(source(files)) is has


def wheel(tmp_path, text="ANSWER = 42\n"):
    """A package that can be installed without any index."""
    path = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny.py", text)
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\n"
                         "Version: 1.0\n")  # fmt: skip
        archive.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: x\n"
                         "Root-Is-Purelib: true\nTag: py3-none-any\n")  # fmt: skip
        archive.writestr("tiny-1.0.dist-info/RECORD", "tiny.py,,\ntiny-1.0.dist-info/METADATA,,\n"
                         "tiny-1.0.dist-info/WHEEL,,\ntiny-1.0.dist-info/RECORD,,\n")  # fmt: skip
    return path


def test_requirements_become_an_importable_tree_that_is_compiled(source, tmp_path):
    folder = source({"requirements.txt": f"tiny @ file://{wheel(tmp_path)}\n"})
    made = build_layer(folder, tmp_path / "cache")
    with zipfile.ZipFile(BytesIO(made.content)) as archive:
        names = archive.namelist()
    assert "tiny.py" in names
    assert any(name.startswith("__pycache__/tiny.") for name in names)
    assert ".lock" not in names


def test_the_same_requirements_are_installed_once(source, tmp_path):
    folder, cache = source({"requirements.txt": f"tiny\n--find-links {tmp_path}\n--no-index\n"}), (
        tmp_path / "cache"
    )  # fmt: skip
    wheel(tmp_path)
    assert cached_layer(folder, cache) is None
    made = build_layer(folder, cache)
    assert cached_layer(folder, cache).digest == made.digest
    (folder / "requirements.txt").write_text("tiny\n# changed\n")
    assert cached_layer(folder, cache) is None


@pytest.mark.parametrize(
    "line", ["-r other.txt", "-e .", "./local", "/abs/local", "tiny @ file:///x/tiny"]
)
def test_what_the_file_does_not_pin_is_never_taken_from_the_cache(
    source, tmp_path, monkeypatch, line
):
    folder = source({"requirements.txt": f"{line}\n"})
    monkeypatch.setattr(layer_module, "_install", lambda source, target: None)
    build_layer(folder, tmp_path / "cache")
    assert cached_layer(folder, tmp_path / "cache") is None


def test_what_cannot_be_installed_is_told_in_the_installers_words(source, tmp_path):
    folder = source({"requirements.txt": "no-such-thing\n--no-index\n"})
    with pytest.raises(Failure, match=r"requirements.txt: cannot be installed:\n(.|\n)*no-such"):
        build_layer(folder, tmp_path / "cache")


def test_the_cache_is_where_the_desktop_says():
    assert str(cache_folder({"XDG_CACHE_HOME": "/c"})) == "/c/hearth/layers"
    assert cache_folder({}).parts[-3:] == (".cache", "hearth", "layers")
