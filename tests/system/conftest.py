"""One platform for all tests that leave it as they found it."""

from __future__ import annotations

import os

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")  # as the platform's processes do

import pytest

from tests.system.boxes import deployed, loaded
from tests.system.running import up

__all__ = ["deployed", "loaded", "running", "source"]


@pytest.fixture(scope="session")
def running(tmp_path_factory):
    """A shared ``hearth up`` with a small pool."""
    with up(tmp_path_factory.mktemp("shared") / "state") as found:
        yield found


@pytest.fixture
def source(tmp_path):
    """Make a source directory from file names and texts."""

    def make(**files: str):
        folder = tmp_path / "source"
        folder.mkdir()
        for name, text in files.items():
            (folder / name.replace("__", ".")).write_text(text)
        return str(folder)

    return make
