"""Claims are bound to what fits them, and leave nothing behind."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from hearth.api.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS
from hearth.api.storage import local_class
from hearth.client import Client
from hearth.node.claims import ClaimKeeper, Claims, fits
from hearth.runtime import Informers
from tests.unit.fake_api import FakeApi
from tests.unit.virtual import run_virtual


def claim(name="data", **spec):
    whole = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    meta = {"name": name, "namespace": "default", "uid": f"uid-{name}"}
    return {"metadata": meta, "spec": {**whole, **spec}}


def volume(name="disk", **spec):
    whole = {
        "accessModes": ["ReadWriteOnce", "ReadOnlyMany"], "capacity": {"storage": "2Gi"},
        "hostPath": {"path": "/disk"},
    }  # fmt: skip
    return {"metadata": {"name": name, "labels": {"tier": "fast"}}, "spec": {**whole, **spec}}


MANUAL = {"storageClassName": ""}


@pytest.mark.parametrize(
    ("have", "want", "fit"),
    [
        pytest.param({}, MANUAL, True, id="fits"),
        pytest.param({}, {}, False, id="no-class-is-the-default-class"),
        pytest.param({"storageClassName": "a"}, {"storageClassName": "a"}, True, id="class"),
        pytest.param({"storageClassName": "a"}, MANUAL, False, id="another-class"),
        pytest.param({"capacity": {"storage": "1Mi"}}, MANUAL, False, id="too-small"),
        pytest.param({"accessModes": ["ReadOnlyMany"]}, MANUAL, False, id="mode"),
        pytest.param({}, {**MANUAL, "volumeName": "disk"}, True, id="named"),
        pytest.param({}, {**MANUAL, "volumeName": "other"}, False, id="another-named"),
        pytest.param({"claimRef": {"namespace": "default", "name": "data"}}, {}, True,
                     id="reserved"),
        pytest.param({"claimRef": {"namespace": "default", "name": "x"}}, MANUAL, False,
                     id="reserved-for-another"),
        pytest.param({"claimRef": {"namespace": "default", "name": "data", "uid": "old"}}, MANUAL,
                     False, id="of-an-earlier-claim"),
        pytest.param({}, {**MANUAL, "selector": {"matchLabels": {"tier": "fast"}}}, True,
                     id="selected"),
        pytest.param({}, {**MANUAL, "selector": {"matchLabels": {"tier": "slow"}}}, False,
                     id="not-selected"),
    ],
)  # fmt: skip
def test_which_volume_fits_a_claim(have, want, fit):
    assert fits(volume(**have), claim(**want)) is fit


async def remove(path):
    shutil.rmtree(path)


def keep(tmp_path, act, in_use=lambda: set()):
    async def story():
        api = FakeApi()
        api.put(STORAGE_CLASS, local_class())
        client = Client(api)
        informers = Informers(client)
        keeper = ClaimKeeper(client, informers, tmp_path, in_use, remove)
        tasks = [asyncio.ensure_future(run()) for run in (informers.run, keeper.run)]
        try:
            await act(api, Claims(client, "n1", tmp_path))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    run_virtual(story())


def test_a_claim_is_bound_to_the_smallest_volume_that_fits(tmp_path):
    async def act(api, claims):
        api.put(PERSISTENT_VOLUME, volume("big", capacity={"storage": "9Gi"}))
        api.put(PERSISTENT_VOLUME, volume("small"))
        api.put(PERSISTENT_VOLUME_CLAIM, claim(**MANUAL))
        await asyncio.sleep(3)
        bound = api.get(PERSISTENT_VOLUME_CLAIM, "data")
        assert (bound["spec"]["volumeName"], bound["status"]["phase"]) == ("small", "Bound")
        disk = api.get(PERSISTENT_VOLUME, "small", "")
        assert disk["spec"]["claimRef"]["name"] == "data"
        api.remove(PERSISTENT_VOLUME_CLAIM, "data")
        await asyncio.sleep(3)
        assert api.get(PERSISTENT_VOLUME, "small", "")["status"]["phase"] == "Released"

    keep(tmp_path, act)


def test_what_was_made_for_a_claim_goes_with_it_once_no_pod_uses_it(tmp_path):
    used = {("default", "data")}

    async def act(api, claims):
        api.put(PERSISTENT_VOLUME_CLAIM, claim())
        directory = await claims.directory("default", "data")
        (directory / "file").write_text("x")
        api.remove(PERSISTENT_VOLUME_CLAIM, "data")
        await asyncio.sleep(3)
        assert (directory / "file").exists()
        used.clear()
        await asyncio.sleep(3)
        assert api.all(PERSISTENT_VOLUME) == []
        assert not directory.exists()

    keep(tmp_path, act, lambda: used)
