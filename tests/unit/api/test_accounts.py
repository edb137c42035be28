"""A pod that asks for its account's token finds it where Kubernetes' clients look."""

from __future__ import annotations

import pytest

from hearth.api.accounts import TOKEN_PATH, with_account
from hearth.api.pod_rules import default_pod


def spec(**more):
    return {"containers": [{"name": "a"}, {"name": "b"}], **more}


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({"serviceAccountName": "robot"}, id="named"),
        pytest.param({"automountServiceAccountToken": True}, id="said"),
    ],
)
def test_every_container_gets_the_token(asked):
    found = with_account(spec(**asked))
    assert [c["volumeMounts"][0]["mountPath"] for c in found["containers"]] == [TOKEN_PATH] * 2
    [volume] = found["volumes"]
    assert [next(iter(source)) for source in volume["projected"]["sources"]] == [
        "serviceAccountToken", "configMap", "downwardAPI",
    ]  # fmt: skip
    assert with_account(found) == found


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({}, id="not-asked"),
        pytest.param({"serviceAccountName": "default"}, id="default"),
        pytest.param(
            {"serviceAccountName": "robot", "automountServiceAccountToken": False}, id="declined"
        ),
    ],
)
def test_who_does_not_ask_gets_none(asked):
    assert with_account(spec(**asked)) == spec(**asked)


def test_a_container_may_have_a_token_of_its_own():
    own = {"name": "v", "mountPath": TOKEN_PATH}
    found = with_account({
        "serviceAccountName": "robot", "containers": [{"name": "a", "volumeMounts": [own]}]
    })  # fmt: skip
    assert found["containers"][0]["volumeMounts"] == [own]


def test_only_a_new_pod_gets_one():
    new = default_pod({"spec": spec(serviceAccountName="robot")})
    assert new["spec"]["volumes"]
    old = {"spec": spec(serviceAccountName="robot"), "status": {"phase": "Running"}}
    assert "volumes" not in default_pod(old)["spec"]
