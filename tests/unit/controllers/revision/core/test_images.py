import pytest

from hearth.controllers.revision.core.images import container_statuses

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
    assert container_statuses(given, pods) == {"containerStatuses": [want]}


def test_init_containers_have_a_list_of_their_own():
    found = container_statuses(
        revision(init="setup:1"), [pod(OTHER, container="setup", field="initContainerStatuses")]
    )
    assert found == {"containerStatuses": [of()], "initContainerStatuses": [of(OTHER, "setup")]}


def test_tags_of_registries_that_are_not_resolved_go_on_moving():
    local = revision("kind.local/app:1")
    assert container_statuses(local, [pod(DIGEST)], {"kind.local"}) == {"containerStatuses": [of()]}
    pinned = revision(f"kind.local/{OTHER}")
    [status] = container_statuses(pinned, [], {"kind.local"})["containerStatuses"]
    assert status["imageDigest"] == f"kind.local/{OTHER}", "what is written is no tag"
