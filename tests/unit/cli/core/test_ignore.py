import pytest

from hearth.cli.core.ignore import Ignore


@pytest.mark.parametrize(
    ("patterns", "path", "excluded"),
    [
        pytest.param(["*.log"], "deep/down/a.log", True, id="any-depth"),
        pytest.param(["/a.log"], "deep/a.log", False, id="anchored-by-a-leading-slash"),
        pytest.param(["deep/a.log"], "x/deep/a.log", False, id="anchored-by-an-inner-slash"),
        pytest.param(["a?.py"], "ab.py", True, id="one-character"),
        pytest.param(["*"], "a/b", True, id="everything"),
        pytest.param(["docs/*.md"], "docs/a/b.md", False, id="a-star-stays-in-its-folder"),
        pytest.param(["docs/**/x.md"], "docs/x.md", True, id="two-stars-are-any-folders"),
        pytest.param(["docs/**/x.md"], "docs/a/b/x.md", True, id="two-stars-are-many-folders"),
        pytest.param(["docs/**"], "docs/a/b", True, id="two-stars-at-the-end"),
        pytest.param(["[ab].py"], "b.py", True, id="set"),
        pytest.param(["[!ab].py"], "b.py", False, id="negated-set"),
        pytest.param(["# *.py", "", "  "], "a.py", False, id="comments-and-blanks"),
        pytest.param([r"\#a"], "#a", True, id="escaped-hash"),
        pytest.param(["*.py", "!keep.py"], "keep.py", False, id="taken-back"),
        pytest.param(["!keep.py", "*.py"], "keep.py", True, id="the-last-match-decides"),
        pytest.param(["build/"], "build", False, id="folders-only-spares-files"),
        pytest.param(["a.py"], "axpy", False, id="a-dot-is-a-dot"),
        pytest.param(["[z-a]"], "z", False, id="unreadable-matches-nothing"),
        pytest.param(["/"], "a", False, id="only-a-slash"),
        pytest.param([], "a", False, id="none"),
    ],
)
def test_patterns_exclude_as_git_does(patterns, path, excluded):
    assert Ignore(patterns).excludes(path, is_folder=False) is excluded


def test_a_pattern_for_folders_excludes_folders():
    assert Ignore(["build/"]).excludes("build", is_folder=True)


@pytest.mark.parametrize("path", [".git", ".venv", "a/__pycache__", "web/node_modules"])
def test_history_and_environments_are_never_part_of_an_app(path):
    assert Ignore([f"!{path}"]).excludes(path, is_folder=True)
