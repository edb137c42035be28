import asyncio

import msgspec

from hearth.api.errors import Gone
from hearth.api.http import Response
from hearth.api.kinds import POD
from hearth.api.meta import ObjectKey
from hearth.client import Client
from hearth.runtime import Informer
from tests.unit.virtual import run_virtual


def pod(name, rv, **labels):
    meta = {"name": name, "namespace": "default", "resourceVersion": str(rv), "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta}


class Script:
    """Answers lists and watches from a script; a watch that is used up waits."""

    def __init__(self, *, lists, watches):
        self.lists, self.watches, self.watched_from = list(lists), list(watches), []

    async def __call__(self, request):
        if request.query.get("watch") != "true":
            rv, items = self.lists.pop(0)
            body = {"metadata": {"resourceVersion": str(rv)}, "items": items}
            return Response(200, body=msgspec.json.encode(body))
        self.watched_from.append(request.query["resourceVersion"])
        return Response(200, stream=self._stream(self.watches.pop(0) if self.watches else None))

    async def _stream(self, events):
        if events is None:
            await asyncio.Event().wait()
        for kind, wire in events or ():
            if kind == "BREAK":
                await asyncio.sleep(wire or 0)
                raise ConnectionError("gone away")
            yield msgspec.json.encode({"type": kind, "object": wire}) + b"\n"


def follow(script, seconds=60):
    """Run an informer over the script; returns what handlers were told, and the informer."""

    async def story():
        told = []
        informer = Informer(Client(script), POD)
        informer.add_index("app", lambda wire: [wire["metadata"]["labels"].get("app", "")])
        informer.on_change(
            lambda change: told.append(
                (change.key.name, change.old is not None, change.new is not None)
            )
        )
        task = asyncio.create_task(informer.run())
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.wait([task])
        return told, informer

    return run_virtual(story())[0]


def test_list_and_watch_fill_the_cache_and_tell_of_each_change():
    script = Script(
        lists=[(5, [pod("a", 3, app="x")])],
        watches=[[("ADDED", pod("b", 6, app="x")), ("MODIFIED", pod("a", 7, app="y")),
                  ("DELETED", pod("b", 8, app="x"))]],
    )  # fmt: skip
    told, informer = follow(script)
    assert told == [
        ("a", False, True),
        ("b", False, True),
        ("a", True, True),
        ("b", True, False),
    ]
    assert [wire["metadata"]["name"] for wire in informer.by_index("app", "y")] == ["a"]
    assert informer.by_index("app", "x") == []
    assert informer.get(ObjectKey("root", "default", "b")) is None


def test_a_broken_watch_goes_on_where_it_was():
    script = Script(
        lists=[(5, [])],
        watches=[[("ADDED", pod("a", 6)), ("BREAK", {})], [("ADDED", pod("b", 9))]],
    )
    told, _ = follow(script)
    assert script.watched_from[:3] == ["5", "6", "9"]
    assert [name for name, _, _ in told] == ["a", "b"]


def test_too_old_a_version_lists_again_and_tells_only_what_differs():
    expired = Gone("too old").status()
    script = Script(
        lists=[(5, [pod("kept", 1), pod("gone", 2)]), (50, [pod("kept", 1), pod("new", 40)])],
        watches=[[("ERROR", expired)]],
    )
    told, informer = follow(script)
    assert told[2:] == [("new", False, True), ("gone", True, False)]
    assert len(informer) == 2


def test_a_bookmark_moves_the_version_and_tells_nobody():
    bookmark = {"kind": "Pod", "metadata": {"resourceVersion": "77"}}
    told, informer = follow(Script(lists=[(5, [])], watches=[[("BOOKMARK", bookmark)]]))
    assert (told, informer.resource_version) == ([], "77")


def test_the_cache_leaves_the_managed_fields_to_the_api_server():
    managed = pod("a", 5)
    managed["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    script = Script(lists=[(5, [managed])], watches=[])
    _, informer = follow(script)
    assert "managedFields" not in informer.get(ObjectKey("root", "default", "a"))["metadata"]


def test_a_watch_that_worked_for_a_while_is_begun_again_at_once():
    worked = [[("BREAK", 60)]] * 10
    script = Script(lists=[(5, [])], watches=worked)
    follow(script, 602)
    assert len(script.watched_from) == 11

    never = [[("BREAK", 0)]] * 100
    script = Script(lists=[(5, [])], watches=never)
    follow(script, 60)
    assert len(script.watched_from) < 15, "the pauses grow"
