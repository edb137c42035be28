"""Images, installation, and what ``hearth check`` says before and after."""

from __future__ import annotations

import json

import pytest

from tests.kubernetes.cluster import SYSTEM
from tests.kubernetes.conftest import build_images


def test_images_are_the_same_when_they_are_built_again(images, tmp_path):
    (tmp_path / "packages").symlink_to(images / "packages")
    build_images(tmp_path)
    for archive in tmp_path.glob("*.tar"):
        assert archive.read_bytes() == (images / archive.name).read_bytes(), archive.name


def test_a_bare_cluster_is_found_ready_for_installation(cluster):
    found = json.loads(cluster.hearth("check", "-o", "json"))
    assert found["Kubernetes"] == {"ok": True, "says": "v1.35.4", "mend": ""}
    assert found["installation"]["mend"] == "hearth install"


def test_a_process_refuses_an_api_server_of_the_other_kind(cluster):
    said = cluster.hearth("controller", fails=True)
    assert "is v1.35.4, and the setting substrate is hearth" in said


def test_it_is_installed_and_ready(hearth):
    found = json.loads(hearth.hearth("check", "-o", "json"))
    assert found["hearth-controller"]["says"] == "1 of 1 ready"
    assert found["hearth-gateway"]["says"] == "2 of 2 ready"
    for pod in hearth.get("pods", "-n", SYSTEM)["items"]:
        [status] = pod["status"]["containerStatuses"]
        assert status["restartCount"] == 0


def test_installing_again_changes_nothing(hearth):
    def versions():
        found = hearth.get("deployments,clusterroles,crds", "-A")["items"]
        own = [o for o in found if "app.kubernetes.io/part-of" in o["metadata"].get("labels", {})]
        return {(o["kind"], o["metadata"]["name"]): o["metadata"]["generation"] for o in own
                if "generation" in o["metadata"]}  # fmt: skip

    before = versions()
    hearth.hearth("install", "--timeout", "60")
    assert versions() == before


def test_what_is_printed_is_what_is_installed(hearth):
    text = hearth.hearth("manifests")
    manager = ("--server-side", "--field-manager", "hearth-install")
    assert hearth.kubectl("diff", *manager, "-f", "-", stdin=text) == ""


@pytest.mark.parametrize("verb", ["create", "get", "delete"])
def test_who_may_edit_a_namespace_may_edit_its_services(hearth, verb):
    hearth.kubectl("create", "rolebinding", f"kim-{verb}", "--clusterrole=edit", "--user=kim")
    asked = ("auth", "can-i", verb, "services.serving.knative.dev", "--as=kim")
    try:
        assert hearth.kubectl(*asked).strip() == "yes"
    finally:
        hearth.kubectl("delete", "rolebinding", f"kim-{verb}")
