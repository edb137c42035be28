import asyncio
import os
import time

import pytest

from hearth.node.usage import Rates, usage_of


def group(folder, **files):
    folder.mkdir()
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return str(folder)


def test_version_1_tells_in_two_groups(tmp_path):
    groups = [
        group(tmp_path / "cpuacct", cpuacct__usage="2500000000\n"),
        group(
            tmp_path / "memory",
            memory__usage_in_bytes="5000",
            memory__stat="cache 9\ntotal_inactive_file 2000\n",
        ),
    ]
    found = usage_of(groups, 0)
    assert (found.cpu_s, found.memory_bytes) == (2.5, 3000)


def test_version_2_tells_in_one(tmp_path):
    groups = [
        group(
            tmp_path / "pod",
            memory__current="5000",
            memory__stat="inactive_file 1000\n",
            cpu__stat="usage_usec 1500000\n",
        )
    ]
    found = usage_of(groups, 0)
    assert (found.cpu_s, found.memory_bytes) == (1.5, 4000)


def test_without_groups_the_processes_count():
    found = usage_of([], os.getpid())
    assert found.cpu_s > 0 and found.memory_bytes > 2**20


def test_what_is_gone_has_no_usage(tmp_path):
    assert usage_of([str(tmp_path / "gone")], 2**22 + 1) is None


def test_a_rate_is_what_was_used_since_the_last_question(tmp_path):
    cpu = tmp_path / "pod"
    where = {"a": ([group(cpu, memory__current="1", memory__stat="", cpu__stat="")], 0)}

    async def story():
        rates = Rates()
        (cpu / "cpu.stat").write_text("usage_usec 1000000")
        asking = asyncio.create_task(rates.of(where))
        await asyncio.sleep(0)
        (cpu / "cpu.stat").write_text("usage_usec 1500000")
        return (await asking)["a"]

    began = time.monotonic()
    rate = asyncio.run(story())
    assert rate.cpus == pytest.approx(0.5, rel=0.2)
    assert time.monotonic() - began == pytest.approx(rate.window_s, abs=0.2)
