"""The code store keeps packages by digest, whole or not at all."""

from __future__ import annotations

import hashlib

import pytest

from hearth.api.errors import (
    BadRequest,
    MethodNotAllowed,
    NotFound,
    ServiceUnavailable,
    TooLarge,
)
from hearth.api.http import Request
from hearth.apiserver import packages
from hearth.apiserver.packages import Packages
from hearth.client.client import read_all
from tests.unit.apiserver.running import run

BODY = b"print('hello')" * 1000
DIGEST = f"sha256:{hashlib.sha256(BODY).hexdigest()}"


def path(digest=DIGEST, namespace="default"):
    return f"/apis/hearth.dev/v1alpha1/namespaces/{namespace}/packages/{digest}"


def files(folder):
    return [f for f in folder.rglob("*") if f.is_file()]


def test_what_was_put_is_got_back(tmp_path):
    async def story(api):
        assert (await api.client.raw("PUT", path(), body=BODY)).status == 201
        assert (await api.client.raw("PUT", path(), body=BODY)).status == 200
        head = await api.client.raw("HEAD", path())
        assert (head.headers["content-length"], head.body, head.stream) == ("14000", b"", None)
        assert await read_all(await api.client.raw("GET", path())) == BODY
        with pytest.raises(NotFound):
            await api.client.raw("GET", path(namespace="other"))
        assert len(files(tmp_path)) == 1

    run(tmp_path, story)


def test_a_package_comes_in_pieces(tmp_path):
    async def pieces():
        for first in range(0, len(BODY), 1000):
            yield BODY[first : first + 1000]

    async def story(api):
        headers = {"authorization": "Bearer admin"}
        answer = await api.server(Request("PUT", path(), headers=headers, stream=pieces()))
        assert answer.status == 201
        assert await read_all(await api.client.raw("GET", path())) == BODY

    run(tmp_path, story)


def test_a_package_that_breaks_off_is_not_kept(tmp_path):
    async def pieces():
        yield BODY[:100]
        raise ConnectionResetError("gone")

    async def story(api):
        headers = {"authorization": "Bearer admin"}
        answer = await api.server(Request("PUT", path(), headers=headers, stream=pieces()))
        assert answer.status == 503
        assert files(tmp_path) == []

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("method", "where", "body", "error"),
    [
        pytest.param("PUT", path(), b"other", BadRequest, id="wrong-digest"),
        pytest.param("PUT", path("sha256:abc"), b"", BadRequest, id="no-digest"),
        pytest.param("PUT", path("../../../etc"), b"", NotFound, id="path-that-leaves"),
        pytest.param("GET", path(), b"", NotFound, id="not-there"),
        pytest.param("DELETE", path(), b"", MethodNotAllowed, id="delete"),
    ],
)
def test_what_is_wrong_is_refused_and_leaves_nothing(tmp_path, method, where, body, error):
    async def story(api):
        with pytest.raises(error):
            await api.client.raw(method, where, body=body)
        assert files(tmp_path) == []

    run(tmp_path, story)


def test_a_package_over_the_limit_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "PACKAGE_MAX_BYTES", 1000)

    async def story(api):
        with pytest.raises(TooLarge):
            await api.client.raw("PUT", path(), body=BODY)
        assert files(tmp_path) == []

    run(tmp_path, story)


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "root").write_text("a file")

    async def story(api):
        with pytest.raises(ServiceUnavailable, match="cannot be kept"):
            await api.client.raw("PUT", path(), body=BODY)

    run(tmp_path, story)


def test_what_a_crash_left_half_written_is_removed(tmp_path):
    (tmp_path / "root" / "default").mkdir(parents=True)
    (tmp_path / "root" / "default" / "x.new").write_text("half")
    Packages(tmp_path)
    assert files(tmp_path) == []
