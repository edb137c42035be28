import pytest

from hearth.api.images import Image
from hearth.controllers.revision.core.images import (
    container_statuses,
    digest_on_nodes,
    is_resolved,
    pinned,
    tags_of,
)

DIGEST, OTHER = "docker.io/library/app@sha256:" + "a" * 64, "app@sha256:" + "b" * 64


def revision(image="app:1", was=None, init=None):
    spec = {"containers": [{"name": "user-container", "image": image}]}
    if init:
        spec["initContainers"] = [{"name": "setup", "image": init}]
    status = {} if was is None else {"containerStatuses": [was]}
    return {"spec": spec, "status": status}


def pod(image_id, name="p", container="user-container", field="containerStatuses"):
    status = {field: [{"name": container, "imageID": image_id}]}
    return {"metadata": {"name": name}, "status": status}


def of(digest=None, name="user-container"):
    return {"name": name} | ({"imageDigest": digest} if digest else {})


@pytest.mark.parametrize(
    ("given", "pods", "want"),
    [
        pytest.param(revision(), [], of(), id="no-pod-yet"),
        pytest.param(revision(), [pod("")], of(), id="a-pod-that-has-none"),
        pytest.param(revision(), [pod("sha256:1")], of(), id="an-image-without-a-repository"),
        pytest.param(revision(), [pod(DIGEST)], of(DIGEST), id="a-pods"),
        pytest.param(revision(OTHER), [], of(OTHER), id="its-own"),
        pytest.param(revision(was=of(DIGEST)), [], of(DIGEST), id="kept-at-zero"),
        pytest.param(revision(was=of(DIGEST)), [pod(OTHER)], of(DIGEST), id="the-tag-moved"),
        pytest.param(revision(), [pod(OTHER, "q"), pod(DIGEST)], of(DIGEST), id="the-first-pods"),
        pytest.param(revision(), [pod(DIGEST, container="side")], of(), id="another-containers"),
    ],
)
def test_what_a_tag_means_is_what_the_first_pod_got(given, pods, want):
    assert container_statuses(given, pods, {}) == {"containerStatuses": [want]}


def test_init_containers_have_a_list_of_their_own():
    found = container_statuses(
        revision(init="setup:1"), [pod(OTHER, container="setup", field="initContainerStatuses")], {}
    )
    assert found == {"containerStatuses": [of()], "initContainerStatuses": [of(OTHER, "setup")]}


@pytest.mark.parametrize(
    ("given", "want"),
    [
        pytest.param(revision(), {"app:1": ""}, id="a-tag"),
        pytest.param(revision(OTHER), {}, id="a-digest"),
        pytest.param(revision("dev.local/app:1"), {}, id="a-skipped-registry"),
        pytest.param(revision("hearth.dev/runtimes/python"), {}, id="a-runtime"),
        pytest.param(revision("No Image"), {}, id="nonsense"),
        pytest.param(revision(init="b"), {"app:1": "", "b": ""}, id="an-init-container-too"),
    ],
)
def test_registries_are_asked_about_tags_that_are_theirs(given, want):
    assert tags_of(given, {"dev.local"}) == want


def test_a_status_with_images_is_not_asked_about_again():
    assert [is_resolved(r) for r in (revision(), revision(was=of()))] == [False, True]


@pytest.mark.parametrize(
    ("given", "digests", "want"),
    [
        pytest.param(revision(), {}, {}, id="unknown"),
        pytest.param(revision(), {"app:1": DIGEST}, {"user-container": DIGEST}, id="just-now"),
        pytest.param(revision(was=of(DIGEST)), {}, {"user-container": DIGEST}, id="before"),
        pytest.param(revision("dev.local/a:1", was=of(DIGEST)), {}, {}, id="skipped"),
        pytest.param(revision(OTHER, was=of(OTHER)), {}, {}, id="its-own"),
    ],
)
def test_pods_run_what_the_tag_meant_where_tags_are_asked_about(given, digests, want):
    assert pinned(given, digests, {"dev.local"}) == want


def test_what_was_just_found_out_is_in_the_status():
    assert container_statuses(revision(), [pod(OTHER)], {"app:1": DIGEST}) == {
        "containerStatuses": [of(DIGEST)]
    }


@pytest.mark.parametrize(
    ("names", "want"),
    [
        pytest.param(["docker.io/library/app:1", DIGEST], DIGEST, id="present"),
        pytest.param(["docker.io/library/app:1"], "", id="without-a-digest"),
        pytest.param(["docker.io/library/app:2", DIGEST], "", id="another-tag"),
    ],
)
def test_nodes_know_the_digests_of_what_they_have(names, want):
    node = {"metadata": {"name": "n"}, "status": {"images": [{"names": names}]}}
    assert digest_on_nodes(Image.parse("app:1"), [node]) == want


def test_tags_of_registries_that_are_not_resolved_go_on_moving():
    local = revision("kind.local/app:1")
    assert container_statuses(local, [pod(DIGEST)], {}, {"kind.local"}) == {
        "containerStatuses": [of()]
    }
    written = revision(f"kind.local/{OTHER}")
    [status] = container_statuses(written, [], {}, {"kind.local"})["containerStatuses"]
    assert status["imageDigest"] == f"kind.local/{OTHER}", "what is written is no tag"
