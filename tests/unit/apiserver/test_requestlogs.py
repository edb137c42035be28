"""The log of a pod's requests: whose lines come first, and what clients see of its container."""

from __future__ import annotations

import asyncio

import pytest

from hearth.api.logs import Query
from hearth.apiserver.requestlogs import _as_they_come, _in_order, _shown, is_asked_for

POD = {
    "metadata": {"name": "p", "labels": {"serving.knative.dev/revision": "a-1"}},
    "spec": {"containers": [{"name": "user-container"}]},
}


async def source(*lines):
    for each in lines:
        yield each


def collect(lines):
    async def story():
        return [line async for line in lines]

    return asyncio.run(story())


def test_lines_of_several_sources_are_in_the_order_of_their_times():
    sources = [source(b"1 a", b"4 d"), source(), source(b"2 b", b"3 c")]
    assert collect(_in_order(sources, None)) == [b"1 a", b"2 b", b"3 c", b"4 d"]


def test_the_last_lines_are_the_last_of_all_sources():
    sources = [source(b"1 a", b"4 d"), source(b"2 b", b"3 c")]
    assert collect(_in_order(sources, 2)) == [b"3 c", b"4 d"]
    assert collect(_in_order([source(b"1 a")], 0)) == []


def test_lines_that_are_followed_come_until_every_source_has_ended():
    found = collect(_as_they_come([source(b"1 a", b"4 d"), source(b"2 b")]))
    assert sorted(found) == [b"1 a", b"2 b", b"4 d"]


@pytest.mark.parametrize(
    ("query", "want"),
    [
        pytest.param(Query(), b"a a\nb\n", id="without-times"),
        pytest.param(Query(timestamps=True), b"1 a a\n2 b\n", id="with-times"),
        pytest.param(Query(limit_bytes=5), b"a a\nb", id="cut"),
    ],
)
def test_lines_as_they_are_shown(query, want):
    assert b"".join(collect(_shown(source(b"1 a a\n", b"2 b\n"), query))) == want


@pytest.mark.parametrize(
    ("pod", "container", "want"),
    [
        pytest.param(POD, "queue-proxy", True, id="of-a-revision"),
        pytest.param(POD, "user-container", False, id="the-apps-own"),
        pytest.param(POD, "", False, id="unnamed"),
        pytest.param({**POD, "metadata": {"name": "p"}}, "queue-proxy", False, id="any-other-pod"),
        pytest.param(
            {**POD, "spec": {"containers": [{"name": "queue-proxy"}]}},
            "queue-proxy",
            False,
            id="a-container-of-that-name",
        ),
    ],
)
def test_what_the_name_means(pod, container, want):
    assert is_asked_for(pod, container) is want
