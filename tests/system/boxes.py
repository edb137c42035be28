"""A small image to make services of: busybox, serving files and scripts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hearth.api.kinds import POD, REVISION, SERVICE
from hearth.api.meta import condition_of, name_of
from hearth.node.cri.archives import image_archive
from hearth.node.cri.containerd import missing
from tests.system.running import eventually

BUSYBOX = Path(shutil.which("busybox") or "/bin/busybox")
IMAGE = "dev.local/box:1"
#: Answers with its environment, its user and what is mounted below /data.
SCRIPT = b"""#!/bin/busybox sh
echo "Content-Type: text/plain"
echo
echo "user $(/bin/busybox id -u)"
/bin/busybox env
/bin/busybox cat /data/* 2>/dev/null
"""


#: Fetches what its query names.
FETCH = b"""#!/bin/busybox sh
echo "Content-Type: text/plain"
echo
exec /bin/busybox wget -qO- "http://$QUERY_STRING/" 2>&1
"""

#: Answers after as many seconds as its query says.
SLOW = b"""#!/bin/busybox sh
/bin/busybox sleep "$QUERY_STRING"
echo "Content-Type: text/plain"
echo
/bin/busybox hostname
"""


def _is_static(program: Path) -> bool:
    return b"/ld-linux" not in program.read_bytes()[:4096]


needs_containers = pytest.mark.skipif(
    bool(missing()) or not BUSYBOX.exists() or not _is_static(BUSYBOX),
    reason=f"{missing() or 'busybox-static is not installed'}: see make containers",
)


SERVE = ["/bin/busybox", "httpd", "-f", "-v", "-p", "8080", "-h", "/www"]


def box(page=b"hello\n", **config):
    """The image's archive, as ``docker save`` writes it."""
    files = {
        "bin/busybox": BUSYBOX.read_bytes(),
        "bin/sh": b'#!/bin/busybox sh\nexec /bin/busybox sh "$@"\n',
        "bin/tar": b'#!/bin/busybox sh\nexec /bin/busybox tar "$@"\n',
        "www/index.html": page,
        "www/cgi-bin/about": SCRIPT,
        "www/cgi-bin/fetch": FETCH,
        "www/cgi-bin/slow": SLOW,
        "etc/passwd": b"root:x:0:0::/:\nnobody:x:65534:65534::/:\n",
    }
    name = config.pop("name", IMAGE)
    return image_archive(name, files, SERVE, Env=["FROM_IMAGE=yes"], **config)


@pytest.fixture(scope="session")
def loaded(running, tmp_path_factory):
    """The platform, with the image."""
    archive = tmp_path_factory.mktemp("images") / "box.tar"
    archive.write_bytes(box())
    said = running.hearth("image", "load", str(archive)).stdout
    assert f"image {IMAGE} loaded into node" in said
    return running


@pytest.fixture
def deployed(loaded):
    """Makes Services that are gone after the test."""
    made: list[str] = []

    def deploy(name, *, annotations=None, spec=None, **container):
        wire = {
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "template": {
                    "metadata": {"annotations": annotations or {}},
                    "spec": {
                        "timeoutSeconds": 2,  # busybox as PID 1 is deaf to SIGTERM
                        "containers": [{"image": IMAGE, **container}],
                        **(spec or {}),
                    },
                }
            },
        }
        made.append(name)
        loaded.api(lambda client: client.create(SERVICE, wire))

    yield deploy
    for name in made:
        loaded.hearth("delete", name, check=False)


def ready(running, name):
    def is_ready():
        wire = running.api(lambda client: client.get(SERVICE, "default", name))
        return (condition_of(wire, "Ready") or {}).get("status") == "True"

    eventually(is_ready, 20, f"{name} is ready")


def why(running, name, *reasons):
    """The message of the revision's Ready condition, once it has one of these reasons."""
    found = {}

    def has_reason():
        for wire in running.api(lambda client: client.list(REVISION, "default")).items:
            if name_of(wire) == f"{name}-00001":
                found.update(condition_of(wire, "Ready") or {})
        return found.get("reason") in reasons

    try:
        eventually(has_reason, 20, f"{name} says {reasons}")
    except AssertionError as error:
        raise AssertionError(f"{error}: {found}") from error
    return found["message"]


def pod_of(running, name):
    selector = f"serving.knative.dev/service={name}"
    pods = running.api(lambda client: client.list(POD, "default", label_selector=selector))
    [pod] = pods.items
    return pod
