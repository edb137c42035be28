"""One cluster for all tests of the tier, with Hearth installed as README says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tools.images.oci import File, extend

from tests.kubernetes.cluster import APP_IMAGE, ROOT, SYSTEM, running

#: Starts and stops a cluster, as its README says; without one nothing here is tested.
PROGRAM = Path(os.environ.get("HEARTH_TEST_CLUSTER", ROOT.parent / "shared/kubernetes/cluster"))


def pytest_collection_modifyitems(items):
    """In the order in which they are written: from an empty cluster to an empty cluster."""
    own = [item for item in items if item.path.parent == Path(__file__).parent]
    if not PROGRAM.exists():
        skipped = pytest.mark.skip(reason=f"there is no cluster: {PROGRAM} does not exist")
        for item in own:
            item.add_marker(skipped)
    own.sort(key=lambda item: (item.path.name, item.reportinfo()[1] or 0))
    places = [at for at, item in enumerate(items) if item.path.parent == Path(__file__).parent]
    for at, item in zip(places, own, strict=True):
        items[at] = item


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """The archives of ``make images``."""
    if given := os.environ.get("HEARTH_TEST_IMAGES"):
        return Path(given)
    out = tmp_path_factory.mktemp("images")
    build_images(out)
    return out


def build_images(out: Path) -> None:
    command = [sys.executable, "-m", "tools.images", "--out", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=300)


@pytest.fixture(scope="session")
def cluster(images):
    """A cluster with the images, and nothing else."""
    app = (ROOT / "tests/kubernetes/app.py").read_bytes()
    extend(
        images / "runtimes-python.tar", APP_IMAGE, {"app.py": File(app)},
        ("/usr/bin/python3.11", "-P", "/app.py"), images / "app.tar",
    )  # fmt: skip
    with running(PROGRAM, os.environ.get("HEARTH_TEST_CLUSTER_NAME", "k3")) as cluster:
        cluster.control("image", *map(str, sorted(images.glob("*.tar"))))
        yield cluster
        print(cluster.kubectl("-n", SYSTEM, "get", "pods", "-o", "wide", "--ignore-not-found"))


@pytest.fixture(scope="session")
def hearth(cluster):
    """The same with Hearth installed."""
    cluster.hearth("install", "--gateways", "2", "--timeout", "120")
    return cluster
