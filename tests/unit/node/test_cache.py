"""Packages are fetched once, checked, and the ones used longest ago make room."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import zipfile

import msgspec
import pytest

from hearth.api.errors import NotFound
from hearth.api.http import Response
from hearth.client import Client
from hearth.loader.packages import CodeError, cache_name
from hearth.loader.protocol import Package
from hearth.node.cache import PackageCache


def archive():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as whole:
        whole.writestr("app.py", "x = 1")
    return file.getvalue()


CONTENT = archive()
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
STORED = Package(f"hearth:///namespaces/default/packages/{DIGEST}", DIGEST)


class Store:
    """The platform's code store: a handler that knows one package."""

    def __init__(self, answer=CONTENT):
        self.answer = answer
        self.asked = []
        self.called = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, request):
        self.asked.append((request.method, request.path))
        self.called.set()
        await self.open.wait()
        if isinstance(self.answer, ConnectionError):
            raise self.answer
        if isinstance(self.answer, NotFound):
            return Response(404, body=msgspec.json.encode(self.answer.status()))
        return Response(200, body=self.answer)


def cache_of(folder, store=None, *, max_bytes=2**30, in_use=()):
    return PackageCache(Client(store or Store()), folder, max_bytes, lambda: set(in_use))


def test_a_stored_package_is_fetched_once_and_kept_over_a_restart(tmp_path):
    async def story():
        store = Store()
        cache = cache_of(tmp_path, store)
        assert cache.cached(STORED) is None
        path = await cache.get(STORED)
        assert (path / "app.py").read_text() == "x = 1"
        assert await cache.get(STORED) == cache_of(tmp_path, store).cached(STORED) == path
        return store.asked

    path = f"/clusters/root/apis/hearth.dev/v1alpha1/namespaces/default/packages/{DIGEST}"
    assert asyncio.run(story()) == [("GET", path)]


def test_who_comes_while_a_package_is_fetched_waits_for_it_also_when_the_first_has_left(tmp_path):
    async def story():
        store = Store()
        store.open.clear()
        cache = cache_of(tmp_path, store)
        first, *others = (asyncio.create_task(cache.get(STORED)) for _ in range(3))
        await store.called.wait()
        first.cancel()
        await asyncio.sleep(0)
        store.open.set()
        return len(set(await asyncio.gather(*others))), len(store.asked), first.cancelled()

    assert asyncio.run(story()) == (1, 1, True)


@pytest.mark.parametrize(
    ("answer", "reason", "said"),
    [
        pytest.param(NotFound("no such package"), "CodeUnavailable", "no such", id="missing"),
        pytest.param(b"other", "CodeInvalid", "has digest", id="other-content"),
    ],
)
def test_a_package_that_cannot_be_had_says_why_and_is_tried_again(tmp_path, answer, reason, said):
    async def story():
        store = Store(answer)
        cache = cache_of(tmp_path, store)
        with pytest.raises(CodeError, match=said) as caught:
            await cache.get(STORED)
        store.answer = CONTENT
        await cache.get(STORED)
        return caught.value.reason

    assert asyncio.run(story()) == reason


def test_a_store_that_is_away_is_waited_for(tmp_path):
    async def story():
        store = Store(ConnectionError("refused"))
        cache = cache_of(tmp_path, store)
        asyncio.get_running_loop().call_later(0.01, setattr, store, "answer", CONTENT)
        return (await cache.get(STORED) / "app.py").read_text()

    assert asyncio.run(story()) == "x = 1"


@pytest.mark.parametrize(
    "url",
    [
        pytest.param(f"hearth:///namespaces/../packages/{DIGEST}", id="namespace"),
        pytest.param(f"hearth:///namespaces/a/packages/{DIGEST}/../x", id="more"),
        pytest.param("hearth:///secrets/x", id="path"),
    ],
)
def test_only_packages_are_read_from_the_store(tmp_path, url):
    async def story():
        store = Store()
        with pytest.raises(CodeError, match="expected hearth:///namespaces/NAMESPACE/packages"):
            await cache_of(tmp_path, store).get(Package(url, DIGEST))
        return store.asked

    assert asyncio.run(story()) == []


def test_a_folder_is_used_in_place(tmp_path):
    (tmp_path / "code").mkdir()
    cache = cache_of(tmp_path / "cache")
    package = Package(f"file://{tmp_path}/code")
    assert cache.cached(package) == asyncio.run(cache.get(package)) == tmp_path / "code"


def test_what_a_crash_left_half_unpacked_goes(tmp_path):
    (tmp_path / ".new-1" / "sub").mkdir(parents=True)
    cache_of(tmp_path)
    assert list(tmp_path.iterdir()) == []


def source(letter):
    """A package that takes 1,000 bytes."""
    return Package("data:," + letter * 1000)


@pytest.mark.parametrize(
    ("in_use", "used_again", "gone"),
    [
        pytest.param("", "", "a", id="used-longest-ago"),
        pytest.param("", "a", "b", id="used-again"),
        pytest.param("a", "", "b", id="in-use"),
        pytest.param("ab", "", "", id="all-in-use"),
    ],
)
def test_above_the_limit_the_package_used_longest_ago_goes(tmp_path, in_use, used_again, gone):
    async def story():
        held = {cache_name(source(letter)) for letter in in_use}
        cache = cache_of(tmp_path, max_bytes=2500, in_use=held)
        for at_s, letter in enumerate("ab", 1):
            os.utime(await cache.get(source(letter)), (at_s, at_s))
        for letter in used_again:
            await cache.get(source(letter))
        await cache.get(source("c"))
        return "".join(x for x in "abc" if cache.cached(source(x)) is None)

    assert asyncio.run(story()) == gone


def test_many_packages_at_once_over_the_limit_are_all_had(tmp_path):
    async def story():
        cache = cache_of(tmp_path, max_bytes=1)
        for start in range(0, 400, 20):
            wanted = [Package(f"data:,x={n}") for n in range(start, start + 20)]
            await asyncio.gather(*map(cache.get, wanted))

    asyncio.run(story())
