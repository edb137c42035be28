"""Volumes are directories of the node; what cannot be had is said as kubelet says it."""

from __future__ import annotations

import asyncio
import base64

import pytest

from hearth.api.kinds import (
    CONFIG_MAP,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    SECRET,
    STORAGE_CLASS,
)
from hearth.api.storage import local_class
from hearth.client import Client
from hearth.node.volumes import Mount, VolumeFault, Volumes, mounts_of
from tests.unit.fake_api import FakeApi


def pod_with(*volumes, **spec):
    meta = {"name": "hello", "namespace": "default", "uid": "u1", "labels": {"app": "hello"}}
    return {"metadata": meta, "spec": {"volumes": list(volumes), **spec}}


def a_world(tmp_path):
    api = FakeApi()
    api.put(CONFIG_MAP, {
        "metadata": {"name": "settings"}, "data": {"color": "red"},
        "binaryData": {"raw": base64.b64encode(b"\xff").decode()},
    })  # fmt: skip
    api.put(SECRET, {"metadata": {"name": "keys"}, "data": {"pw": "c2VjcmV0"}})
    api.put(STORAGE_CLASS, local_class())
    return api, Volumes(Client(api), tmp_path, "n1")


def read(directory):
    return {p.name: p.read_bytes() for p in directory.iterdir() if not p.name.startswith("..")}


def made(tmp_path, *volumes, **spec):
    _, volumes_of_node = a_world(tmp_path)
    return asyncio.run(volumes_of_node.materialise(pod_with(*volumes, **spec)))


def test_secrets_and_config_maps_become_files(tmp_path):
    found = made(
        tmp_path,
        {"name": "s", "secret": {"secretName": "keys", "defaultMode": 0o400}},
        {"name": "c", "configMap": {"name": "settings"}},
    )
    assert read(found["s"]) == {"pw": b"secret"}
    assert (found["s"] / "pw").stat().st_mode & 0o777 == 0o400
    assert read(found["c"]) == {"color": b"red", "raw": b"\xff"}


def test_a_projected_volume_holds_what_all_its_sources_say(tmp_path):
    sources = [
        {"secret": {"name": "keys"}},
        {"configMap": {"name": "settings", "items": [{"key": "color", "path": "c"}]}},
        {"downwardAPI": {"items": [
            {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {"configMap": {"name": "nope", "optional": True}},
    ]  # fmt: skip
    found = made(tmp_path, {"name": "p", "projected": {"sources": sources}})
    assert read(found["p"]) == {"pw": b"secret", "c": b"red", "labels": b'app="hello"'}


@pytest.mark.parametrize(
    ("volume", "said"),
    [
        pytest.param({"secret": {"secretName": "no"}}, 'secret "no" not found', id="secret"),
        pytest.param({"configMap": {"name": "no"}}, 'configmap "no" not found', id="config-map"),
        pytest.param(
            {"secret": {"secretName": "keys", "items": [{"key": "k", "path": "k"}]}},
            "references non-existent secret key: k", id="key",
        ),
        pytest.param(
            {"persistentVolumeClaim": {"claimName": "no"}},
            'persistentvolumeclaim "no" not found', id="claim",
        ),
        pytest.param({"nfs": {"server": "s"}}, "nfs: this node has no such volumes", id="kind"),
        pytest.param({}, "nothing: this node has no such volumes", id="no-source"),
        pytest.param(
            {"emptyDir": {"medium": "HugePages"}}, "medium HugePages: this node has none",
            id="medium",
        ),
        pytest.param(
            {"hostPath": {"path": "/nope", "type": "Directory"}},
            "hostPath type check failed: /nope is not a directory", id="host-path",
        ),
        pytest.param(
            {"projected": {"sources": [{"clusterTrustBundle": {}}]}},
            "clusterTrustBundle: this node has no such projections", id="projection",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_named(tmp_path, volume, said):
    whole = f'^MountVolume.SetUp failed for volume "v" : {said}$'
    with pytest.raises(VolumeFault, match=whole):
        made(tmp_path, {"name": "v", **volume})


def test_optional_objects_may_be_missing(tmp_path):
    found = made(tmp_path, {"name": "v", "secret": {"secretName": "no", "optional": True}})
    assert read(found["v"]) == {}


def test_a_refresh_shows_the_new_contents_and_keeps_the_old_when_they_cannot_be_read(tmp_path):
    async def story():
        api, volumes = a_world(tmp_path)
        pod = pod_with({"name": "c", "configMap": {"name": "settings"}})
        found = await volumes.materialise(pod)
        api.put(CONFIG_MAP, {"metadata": {"name": "settings"}, "data": {"color": "blue"}})
        await volumes.refresh(pod)
        assert (found["c"] / "color").read_text() == "blue"
        api.remove(CONFIG_MAP, "settings")
        await volumes.refresh(pod)
        assert (found["c"] / "color").read_text() == "blue"

    asyncio.run(story())


def test_an_empty_directory_is_kept_over_restarts_and_goes_with_its_pod(tmp_path):
    async def story():
        _, volumes = a_world(tmp_path)
        pod = pod_with({"name": "e", "emptyDir": {}})
        [path] = (await volumes.materialise(pod)).values()
        (path / "kept").write_text("x")
        await volumes.materialise(pod)
        assert (path / "kept").exists()
        await volumes.remove("u1")
        assert not path.exists()

    asyncio.run(story())


def test_what_an_earlier_agent_left_is_swept(tmp_path):
    async def story():
        _, volumes = a_world(tmp_path)
        [path] = (await volumes.materialise(pod_with({"name": "e", "emptyDir": {}}))).values()
        await volumes.sweep({"u1"})
        assert path.exists()
        await volumes.sweep({"other"})
        assert not path.exists()

    asyncio.run(story())


def test_a_claim_is_bound_to_a_directory_of_the_first_pods_node(tmp_path):
    async def story():
        api, volumes = a_world(tmp_path)
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        api.put(PERSISTENT_VOLUME_CLAIM, {"metadata": {"name": "data"}, "spec": spec})
        pod = pod_with({"name": "d", "persistentVolumeClaim": {"claimName": "data"}})
        [path] = (await volumes.materialise(pod)).values()
        (path / "kept").write_text("x")
        await volumes.remove("u1")
        assert (path / "kept").exists()
        claim = api.get(PERSISTENT_VOLUME_CLAIM, "data")
        assert claim["status"]["phase"] == "Bound"
        volume = api.get(PERSISTENT_VOLUME, claim["spec"]["volumeName"], "")
        assert volume["spec"]["hostPath"]["path"] == str(path)
        assert (await volumes.materialise(pod))["d"] == path

    asyncio.run(story())


def test_a_claim_of_another_class_waits_for_its_own_provisioner(tmp_path):
    async def story():
        api, volumes = a_world(tmp_path)
        spec = {"storageClassName": "fast", "accessModes": ["ReadWriteOnce"]}
        api.put(PERSISTENT_VOLUME_CLAIM, {"metadata": {"name": "data"}, "spec": spec})
        pod = pod_with({"name": "d", "persistentVolumeClaim": {"claimName": "data"}})
        with pytest.raises(VolumeFault, match="unbound immediate PersistentVolumeClaims"):
            await volumes.materialise(pod)

    asyncio.run(story())


def test_mounts_are_made_from_the_outside_in(tmp_path):
    container = {
        "volumeMounts": [
            {"name": "v", "mountPath": "/a/b/", "readOnly": True},
            {"name": "v", "mountPath": "/a", "subPathExpr": "$(WHO)/x"},
        ]
    }
    assert mounts_of(container, {"v": tmp_path}, {"WHO": "me"}) == [
        Mount(tmp_path / "me" / "x", "/a", False),
        Mount(tmp_path, "/a/b", True),
    ]


@pytest.mark.parametrize(
    ("mount", "said"),
    [
        pytest.param({"name": "no"}, 'no volume with name "no" found', id="no-volume"),
        pytest.param({"name": "v", "subPath": "../x"}, "must be relative", id="up"),
        pytest.param({"name": "v", "subPath": "out"}, "leads out of its volume", id="link"),
    ],
)
def test_a_mount_stays_in_its_volume(tmp_path, mount, said):
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "out").symlink_to(tmp_path)
    with pytest.raises(VolumeFault, match=said):
        mounts_of({"volumeMounts": [{"mountPath": "/x", **mount}]}, {"v": volume}, {})
