"""Images of a private registry: credentials, digests, and what is said when they are not enough."""

from __future__ import annotations

import pytest

from hearth.api.kinds import POD, REVISION, SECRET, SERVICE_ACCOUNT
from hearth.api.meta import spec_of, status_of
from tests.system.boxes import box, needs_containers, pod_of, ready, why
from tests.system.registry import needs_registry, registry
from tests.system.running import eventually

pytestmark = [needs_containers, needs_registry]
ZERO = {"autoscaling.knative.dev/initial-scale": "0"}


@pytest.fixture(scope="module")
def private(tmp_path_factory):
    with registry(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture
def secret(loaded, private):
    """Makes pull secrets that are gone after the test."""
    made = []

    def make(name, **how):
        wire = private.secret(name, **how)
        loaded.api(lambda client: client.create(SECRET, wire))
        made.append(name)
        return name

    yield make
    for name in made:
        loaded.api(lambda client, name=name: client.delete(SECRET, "default", name))


def digests(running, name):
    wire = running.api(lambda client: client.get(REVISION, "default", f"{name}-00001"))
    return [one.get("imageDigest") for one in status_of(wire).get("containerStatuses") or ()]


def test_an_image_is_pulled_with_the_services_own_credentials(loaded, private, secret, deployed):
    digest = private.push("own/box:1", box(b"private\n"))
    given = {"imagePullSecrets": [{"name": secret("own")}]}
    deployed("own", image=f"{private.host}/own/box:1", spec=given)
    ready(loaded, "own")
    assert loaded.call("own").body == b"private\n"
    assert digests(loaded, "own") == [f"{private.host}/own/box@{digest}"]


def test_an_image_is_pulled_with_its_service_accounts_credentials(
    loaded, private, secret, deployed
):
    digest = private.push("account/box:1", box(b"by account\n"))
    account = {"metadata": {"name": "puller", "namespace": "default"}}
    account["imagePullSecrets"] = [{"name": secret("account")}]
    loaded.api(lambda client: client.create(SERVICE_ACCOUNT, account))
    image = f"{private.host}/account/box:1"
    deployed("account", image=image, spec={"serviceAccountName": "puller"}, annotations=ZERO)
    ready(loaded, "account")
    assert digests(loaded, "account") == [f"{private.host}/account/box@{digest}"]  # without a pod
    assert loaded.call("account").body == b"by account\n"
    loaded.api(lambda client: client.delete(SERVICE_ACCOUNT, "default", "puller"))


@pytest.mark.parametrize(
    ("password", "said"),
    [
        pytest.param("wrong", "UNAUTHORIZED: authentication required", id="wrong-password"),
        pytest.param(None, "UNAUTHORIZED: authentication required", id="no-secret"),
    ],
)
def test_credentials_that_do_not_do_are_told_at_once(
    loaded, private, secret, deployed, password, said
):
    private.push("shut/box:1", box(b"shut\n"))
    name = f"shut-{password}".lower()
    given = {} if password is None else {
        "imagePullSecrets": [{"name": secret(name, password=password)}]
    }  # fmt: skip
    image = f"{private.host}/shut/box:1"
    deployed(name, image=image, spec=given, annotations=ZERO)
    message = why(loaded, name, "ContainerMissing")
    assert f'Unable to fetch image "{image}": failed to resolve image to digest: ' in message
    assert said in message


def test_an_image_that_the_registry_does_not_have_is_told_and_looked_for_again(
    loaded, private, secret, deployed
):
    given = {"imagePullSecrets": [{"name": secret("comes-late")}]}
    deployed("comes-late", image=f"{private.host}/comes-late/box:1", spec=given, annotations=ZERO)
    assert "MANIFEST_UNKNOWN" in why(loaded, "comes-late", "ContainerMissing")
    private.push("comes-late/box:1", box(b"at last\n"))
    ready(loaded, "comes-late")
    assert loaded.call("comes-late").body == b"at last\n"


def test_an_image_for_other_machines_is_told(loaded, private, secret, deployed):
    digest = private.push("foreign/box:one", box())
    private.push_list("foreign/box:1", digest, 1, "s390x")
    given = {"imagePullSecrets": [{"name": secret("foreign")}]}
    deployed("foreign", image=f"{private.host}/foreign/box:1", spec=given)
    assert "no match for platform" in why(loaded, "foreign", "ErrImagePull", "ImagePullBackOff")


def test_a_revision_stays_what_it_is_when_its_tag_moves(loaded, private, secret, deployed):
    private.push("moving/box:1", box(b"first\n"))
    given = {"imagePullSecrets": [{"name": secret("moving")}]}
    image = f"{private.host}/moving/box:1"
    deployed("moving", image=image, imagePullPolicy="Always", spec=given)
    ready(loaded, "moving")
    private.push("moving/box:1", box(b"second\n"))
    pod = pod_of(loaded, "moving")
    assert "@sha256:" in spec_of(pod)["containers"][0]["image"]
    loaded.api(lambda client: client.delete(POD, "default", pod["metadata"]["name"]))
    eventually(lambda: _others(loaded, pod), 30, "another pod has come")
    assert loaded.call("moving").body == b"first\n"
    deployed("moving-on", image=image, spec=given)
    ready(loaded, "moving-on")
    assert loaded.call("moving-on").body == b"second\n"


def _others(running, old):
    chosen = {"label_selector": "serving.knative.dev/service=moving"}
    pods = running.api(lambda client: client.list(POD, "default", **chosen)).items
    return pods and all(pod["metadata"]["uid"] != old["metadata"]["uid"] for pod in pods)


def test_an_image_that_goes_while_its_service_sleeps_is_told_when_it_should_wake(
    loaded, private, secret, deployed
):
    """knative/serving#11717."""
    digest = private.push("gone/box:1", box(b"gone\n"))
    given = {"imagePullSecrets": [{"name": secret("gone")}]}
    deployed("gone", image=f"{private.host}/gone/box:1", spec=given, annotations=ZERO)
    ready(loaded, "gone")
    private.forget("gone/box", digest)
    answer = loaded.call("gone", timeout_s=20)
    assert answer.status == 503
    assert b"gone/box" in answer.body
    message = why(loaded, "gone", "ErrImagePull", "ImagePullBackOff")
    assert digest in message
