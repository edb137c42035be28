"""What is kept of a container's output, and what is read of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from datetime import UTC, datetime, timedelta

import pytest

from hearth.api.logs import Query
from hearth.node import logs
from hearth.node.logreading import NoLog, read_log, run_of
from hearth.node.logs import ContainerLog, LogFiles

MAX_BYTES = 4000


def story(folder, act, *, max_bytes=MAX_BYTES, files_max=3):
    """Run ``act(log)`` with a container's log."""

    async def whole():
        log = ContainerLog(folder, max_bytes=max_bytes, files_max=files_max)
        try:
            return await asyncio.wait_for(act(log), 20)
        finally:
            log.close()

    return asyncio.run(whole())


async def settled(log):
    """Return once everything printed is kept: both ends are closed by then."""
    while log.open_run >= 0:
        await log.grown.wait()


async def run_once(log, out=b"", err=b""):
    """One run of a container that prints what fits its pipes."""
    fds = log.start_run()
    for fd, text in zip(fds, (out, err), strict=True):
        os.write(fd, text)
        os.close(fd)
    await settled(log)


async def read(log, **asked):
    query = Query.of({name: str(value) for name, value in asked.items()})
    files = log.files if isinstance(log, ContainerLog) else log
    run = run_of(files, query)
    return b"".join([b async for b in read_log(log, run, query, datetime.now(UTC))])


def test_lines_are_kept_in_the_format_of_cri(tmp_path):
    story(tmp_path, lambda log: run_once(log, b"one\ntwo\nthr", b"oops\n"))
    lines = (tmp_path / "0.log").read_text().splitlines()
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"
    assert sorted(re.sub(stamp, "T", line) for line in lines) == [
        "T stderr F oops", "T stdout F one", "T stdout F two", "T stdout P thr",
    ]  # fmt: skip


def test_a_long_line_is_kept_in_parts_and_read_as_one(tmp_path):
    async def act(log):
        out, err = log.start_run()
        os.close(err)
        os.write(out, b"x" * 40_000)
        await log.grown.wait()
        os.write(out, b"\nend\n")
        os.close(out)
        await settled(log)
        return await read(log)

    assert story(tmp_path, act, max_bytes=2**20) == b"x" * 40_000 + b"\nend\n"
    assert (tmp_path / "0.log").read_bytes().count(b" P ") == 2


def test_files_are_rotated_and_the_oldest_go(tmp_path):
    async def act(log):
        out, err = log.start_run()
        os.close(err)
        for number in range(400):
            os.write(out, b"line %03d of a chatty app\n" % number)
            await log.grown.wait()
        os.close(out)
        await settled(log)
        return await read(log)

    lines = story(tmp_path, act).splitlines()
    assert lines[-1] == b"line 399 of a chatty app"
    numbers = [int(line.split()[1]) for line in lines]
    assert numbers == list(range(numbers[0], 400)), "what is kept has no holes"
    files = LogFiles(tmp_path).parts(0)
    assert len(files) == 3
    assert all(file.stat().st_size <= MAX_BYTES for file in files)


def test_the_run_before_is_kept_and_no_other(tmp_path):
    async def act(log):
        for number in range(3):
            await run_once(log, b"run %d\n" % number)
        return [await read(log), await read(log, previous="true")]

    assert story(tmp_path, act) == [b"run 2\n", b"run 1\n"]
    assert LogFiles(tmp_path).runs() == [1, 2]


def test_runs_are_counted_on_after_a_restart_of_the_agent(tmp_path):
    story(tmp_path, lambda log: run_once(log, b"before\n"))

    async def act(log):
        await run_once(log, b"after\n")
        return [await read(log), await read(log, previous="true")]

    assert story(tmp_path, act) == [b"after\n", b"before\n"]


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(NoLog, match="waiting to start"):
        asyncio.run(read(LogFiles(tmp_path)))
    story(tmp_path, lambda log: run_once(log, b"x\n"))
    with pytest.raises(NoLog, match="previous terminated container not found"):
        asyncio.run(read(LogFiles(tmp_path), previous="true"))


@pytest.mark.parametrize("wanted", [0, 1, 7, 99, 100, 101, 1000])
def test_the_last_lines_are_found_over_files_and_blocks(tmp_path, wanted):
    whole = [b"line %d\n" % number for number in range(100)]

    async def act(log):
        await run_once(log, b"".join(whole[:1]))
        return None

    story(tmp_path, act)
    stamped = [b"2026-01-01T00:00:00.000000000Z stdout F " + line for line in whole]
    (tmp_path / "0.log.1").write_bytes(b"".join(stamped[:40]))
    (tmp_path / "0.log.2").write_bytes(b"".join(stamped[40:97]))
    (tmp_path / "0.log").write_bytes(b"".join(stamped[97:]))
    found = asyncio.run(read(LogFiles(tmp_path), tailLines=wanted))
    assert found == b"".join(whole[max(0, 100 - wanted) :])


def test_the_last_lines_of_a_large_file_are_found(tmp_path):
    line = b"2026-01-01T00:00:00.000000000Z stdout F %07d " + b"y" * 60 + b"\n"
    (tmp_path / "0.log").write_bytes(b"".join([line % n for n in range(20_000)]))
    for wanted in (1, 1000, 5000):
        found = asyncio.run(read(LogFiles(tmp_path), tailLines=wanted)).splitlines()
        assert [int(f[:7]) for f in found] == list(range(20_000 - wanted, 20_000))


def test_lines_since_a_time_with_their_times_up_to_a_size(tmp_path):
    now = datetime.now(UTC)
    lines = []
    for ago_s in (100, 50, 0):
        at = (now - timedelta(seconds=ago_s)).strftime("%Y-%m-%dT%H:%M:%S.000000000Z")
        lines.append(f"{at} stdout F {ago_s} s ago\n".encode())
    (tmp_path / "0.log").write_bytes(b"".join(lines))
    files = LogFiles(tmp_path)
    assert asyncio.run(read(files, sinceSeconds=60)) == b"50 s ago\n0 s ago\n"
    stamped = asyncio.run(read(files, timestamps="true", tailLines=1))
    assert stamped == lines[2].replace(b"stdout F ", b"")
    assert asyncio.run(read(files, limitBytes=5)) == b"100 s"


def test_a_bad_query_is_named():
    with pytest.raises(ValueError, match="tailLines is '-1', expected a number"):
        Query.of({"tailLines": "-1"})


def test_a_follower_sees_every_line_through_rotations_until_the_end(tmp_path):
    async def act(log):
        out, err = log.start_run()
        os.close(err)
        follower = asyncio.create_task(read(log, follow="true"))
        for number in range(300):
            os.write(out, b"line %d\n" % number)
            await log.grown.wait()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        os.close(out)
        return await follower

    text = story(tmp_path, act, files_max=20)
    assert text == b"".join(b"line %d\n" % number for number in range(300))


def test_an_app_that_floods_its_log_is_read_and_not_all_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "_KEPT_BURST_BYTES", 200_000)
    monkeypatch.setattr(logs, "_KEPT_BYTES_PER_S", 1)

    async def act(log):
        log._budget.left = 200_000
        out, err = log.start_run()
        os.set_blocking(out, False)
        os.close(err)
        line, written = b"x" * 999 + b"\n", 0
        while written < 4 * 2**20:
            try:
                written += os.write(out, line * 64)
            except BlockingIOError:
                await log.grown.wait() if not log._budget.dropped else await asyncio.sleep(0)
        log._budget.left = 200_000  # a quiet minute
        os.set_blocking(out, True)
        log.tail()
        os.write(out, b"\nend\n")
        os.close(out)
        await settled(log)
        return await read(log)

    text = story(tmp_path, act, max_bytes=2**20)
    assert text.endswith(b"\nend\n")
    assert len(text) < 700_000
    assert re.search(rb"hearth: \d+ bytes that were printed too fast are not kept", text)


def test_a_full_disk_does_not_stop_the_reading(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    async def act(log):
        out, err = log.start_run()
        real, logs.os.write = logs.os.write, full
        try:
            real(out, b"lost\n")
            assert log.tail() == "lost"
        finally:
            logs.os.write = real
        os.write(out, b"kept\n")
        for fd in (out, err):
            os.close(fd)
        await settled(log)
        return await read(log)

    assert story(tmp_path, act) == b"kept\n"


def test_the_last_words_are_those_of_the_latest_run(tmp_path):
    async def act(log):
        await run_once(log, b"before\n")
        await run_once(log, b"\n".join(b"%d" % n for n in range(50)) + b"\n")
        return log.tail()

    assert story(tmp_path, act).splitlines() == [str(n) for n in range(30, 50)]


def test_what_was_printed_right_before_the_end_is_told(tmp_path):
    async def act(log):
        out, err = log.start_run()
        os.write(err, b"fatal: goodbye\n")
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, out)
            stack.callback(os.close, err)
            return log.tail()

    assert story(tmp_path, act) == "fatal: goodbye"
