"""The request log as files: what is read of them, and how they stay small."""

from __future__ import annotations

import asyncio

import pytest

from hearth.api.logs import Query
from hearth.gateway.requestlog import Asked, RequestLog
from hearth.gateway.settings import GatewaySettings
from hearth.gateway.xds import EXTENSIONS, Resources

WHOSE = b"10.0.0.2:8080 root/default/a-1"
OTHER = b"10.0.0.3:8080 root/default/b-1"
VALUES = {"Revision.PodName": "pod", "Revision.Service": "a", "Revision.Configuration": "a"}


class Maps:
    """Informers with one config map, which a test sets."""

    def of(self, *args, **kwargs):
        return self

    def on_change(self, handler):
        self.handler = handler

    def set(self, **data):
        wire = {"metadata": {"name": "config-observability"}, "data": data}
        self.handler(type("Change", (), {"object": wire, "new": wire}))


@pytest.fixture
def rig(tmp_path):
    settings = GatewaySettings(
        name="g", state=tmp_path, request_log_max_bytes=1000, request_log_files_max=3
    )
    maps, resources = Maps(), Resources()
    log = RequestLog(maps, resources, settings)
    log.follow()
    return log, maps, resources, tmp_path


def line(number, whose=WHOSE):
    return b"2026-11-25T17:43:%02d.000000Z %s line %d\n" % (number, whose, number)


def read(log, since=b"", **query):
    async def story():
        asked = Asked(WHOSE, since, VALUES, Query(**query))
        return b"".join([block async for block in log.read(asked)]).decode().splitlines()

    return asyncio.run(story())


def test_nothing_is_logged_unless_it_is_asked_for(rig):
    _, maps, resources, folder = rig
    assert not resources.names(EXTENSIONS)
    assert not (folder / "requests.log").exists()
    maps.set(**{"logging.enable-request-log": "true"})
    assert resources.names(EXTENSIONS) == {"router", "cold-router"}
    maps.set(**{"logging.enable-request-log": "false"})
    assert not resources.names(EXTENSIONS)


def test_the_log_is_its_owners_to_read(rig):
    _, maps, _, folder = rig
    maps.set(**{"logging.enable-request-log": "true"})
    assert (folder / "requests.log").stat().st_mode & 0o077 == 0


def test_the_lines_of_one_pod_are_read_from_all_files_oldest_first(rig):
    log, _, _, folder = rig
    (folder / "requests.log.2").write_bytes(line(1) + line(2, OTHER))
    (folder / "requests.log.1").write_bytes(line(3))
    (folder / "requests.log").write_bytes(line(4, OTHER) + line(5) + b"half a line")
    assert read(log) == ["line 1", "line 3", "line 5"]
    assert read(log, tail_lines=2) == ["line 3", "line 5"]
    assert read(log, tail_lines=0) == []
    assert read(log, limit_bytes=8) == ["line 1", "l"]
    assert read(log, since=b"2026-11-25T17:43:03") == ["line 3", "line 5"]
    assert read(log, timestamps=True, tail_lines=1) == ["2026-11-25T17:43:05.000000Z line 5"]


def test_without_files_there_are_no_lines(rig):
    assert read(rig[0]) == []


def test_a_line_longer_than_a_block_is_one_line(rig):
    log, _, _, folder = rig
    long = b"2026-11-25T17:43:00.000000Z %s %s\n" % (WHOSE, b"x" * 300_000)
    (folder / "requests.log").write_bytes(long + line(1))
    assert [len(each) for each in read(log)] == [300_000, 6]


def test_whose_name_is_within_a_line_of_another_does_not_get_it(rig):
    log, _, _, folder = rig
    forged = b"2026-11-25T17:43:00.000000Z %s GET /%s\n" % (OTHER, WHOSE)
    (folder / "requests.log").write_bytes(forged)
    assert read(log) == []


def test_following_goes_on_across_a_rotation(rig):
    log, _, _, folder = rig
    path = folder / "requests.log"
    path.write_bytes(line(1))

    async def story():
        found = []
        async for block in log.read(Asked(WHOSE, b"", VALUES, Query(follow=True))):
            found.extend(block.decode().splitlines())
            if found == ["line 1"]:
                with path.open("ab") as file:
                    file.write(line(2))
                    path.rename(folder / "requests.log.1")
                    file.write(line(3))
                path.write_bytes(line(4))
            if len(found) >= 4:
                return found
        return found

    assert asyncio.run(story()) == ["line 1", "line 2", "line 3", "line 4"]


def test_files_are_renamed_when_they_are_large_and_the_oldest_goes(rig):
    log, _, _, folder = rig

    async def story():
        for number in range(5):
            (folder / "requests.log").write_bytes(b"%d" % number * 2000)
            await log._rotate(folder / "no socket")

    asyncio.run(story())
    kept = {path.name: path.read_bytes()[:1] for path in folder.glob("requests.log*")}
    assert kept == {"requests.log": b"", "requests.log.1": b"4", "requests.log.2": b"3"}
