"""What is taken away is gone, and what is to be kept is kept."""

from __future__ import annotations

from tests.kubernetes.cluster import service


def own(cluster):
    kinds = (
        "crds,clusterroles,clusterrolebindings,namespaces,"
        "mutatingwebhookconfigurations,validatingwebhookconfigurations"
    )
    found = cluster.get(kinds, "-l", "app.kubernetes.io/part-of=hearth")["items"]
    return sorted({each["kind"] for each in found})


def test_services_can_be_kept(hearth):
    hearth.apply(service("kept"))
    hearth.hearth("uninstall", "--yes", "--keep-apps")
    assert own(hearth) == ["CustomResourceDefinition", "Namespace"]
    assert hearth.get("ksvc", "kept")["metadata"]["name"] == "kept"
    hearth.hearth("install", "--timeout", "120")
    hearth.kubectl("wait", "--for=condition=Ready", "ksvc/kept", "--timeout=60s")
    assert hearth.call("kept").body == "kept-00001 "


def test_nothing_is_left(hearth):
    hearth.hearth("uninstall", "--yes")
    assert own(hearth) == []
    hearth.kubectl("wait", "--for=delete", "pods", "--all", "-n", "default", "--timeout=20s")
    assert hearth.get("pods", "-n", "default")["items"] == []
