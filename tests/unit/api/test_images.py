"""References to images, and the credentials that are for them."""

from __future__ import annotations

import base64
import json

import pytest

from hearth.api.images import Credential, Image, credentials_for

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("hello", "docker.io/library/hello:latest"),
        ("team/hello:1", "docker.io/team/hello:1"),
        ("gcr.io/p/hello", "gcr.io/p/hello:latest"),
        ("localhost:5000/hello:1", "localhost:5000/hello:1"),
        (f"gcr.io/p/hello@{DIGEST}", f"gcr.io/p/hello@{DIGEST}"),
        (f"gcr.io/p/hello:1@{DIGEST}", f"gcr.io/p/hello:1@{DIGEST}"),
    ],
)
def test_what_a_reference_leaves_out_is_filled_in(text, whole):
    assert str(Image.parse(text)) == whole


@pytest.mark.parametrize("text", ["", "Hello", "gcr.io/", "a b", "hello:", "hello@sha256:12"])
def test_what_is_no_reference_is_refused(text):
    with pytest.raises(ValueError, match="could not parse reference"):
        Image.parse(text)


def secret(**auths):
    config = json.dumps({"auths": auths}).encode()
    data = {".dockerconfigjson": base64.b64encode(config).decode()}
    return {"type": "kubernetes.io/dockerconfigjson", "data": data}


def found(image, *secrets):
    return [c.username for c in credentials_for(Image.parse(image), secrets)]


def test_the_most_specific_credential_comes_first():
    held = secret(**{"gcr.io": {"username": "all"}, "gcr.io/team": {"username": "team"}})
    assert found("gcr.io/team/hello", held) == ["team", "all"]
    assert found("gcr.io/other/hello", held) == ["all"]
    assert found("quay.io/team/hello", held) == []


def test_docker_hub_has_several_names():
    held = secret(**{"https://index.docker.io/v1/": {"auth": base64.b64encode(b"me:pw").decode()}})
    assert credentials_for(Image.parse("hello"), [held]) == [Credential("me", "pw")]


def test_a_star_stands_for_one_label():
    held = secret(**{"*.example.com": {"username": "me"}})
    assert found("reg.example.com/hello", held) == ["me"]
    assert found("a.reg.example.com/hello", held) == []


def test_a_broken_secret_holds_nothing():
    assert found("hello", {"data": {".dockerconfigjson": "bm90IGpzb24="}}, {"data": None}) == []
