"""kubectl on pods that run: exec, cp, attach, port-forward."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import re

import pytest

from tests.conformance.conftest import program
from tests.system.node_rig import MODES, node

APP = "def handle(request):\n    print('asked', flush=True)\n    return 'hello ' + request.path\n"
modes = pytest.mark.parametrize("mode", MODES)


def story(folder, mode, act, **settings):
    async def whole():
        async with node(folder, mode, **settings) as rig:
            env = [{"name": "WHO", "value": "me"}]
            mounts = {"volumeMounts": [{"name": "v", "mountPath": "/hearth-test"}], "env": env}
            volumes = [{"name": "v", "emptyDir": {}}]
            code = rig.source("app", app__py=APP)
            await rig.create("one", code, container=mounts, volumes=volumes)
            await rig.ready("one")
            return await asyncio.wait_for(act(rig), 60)

    return asyncio.run(whole())


async def start(rig, *arguments, **streams):
    environ = {
        "HOME": str(rig.folder), "KUBECONFIG": str(rig.folder / "api" / "kubeconfig"),
        "PATH": os.environ["PATH"],
    }  # fmt: skip
    pipe = asyncio.subprocess.PIPE
    streams = {"stdin": pipe, "stdout": pipe, "stderr": pipe, **streams}
    return await asyncio.create_subprocess_exec(
        program("kubectl"), *arguments, env=environ, **streams
    )


async def kubectl(rig, *arguments, stdin=b""):
    process = await start(rig, *arguments)
    async with asyncio.timeout(20):
        out, err = await process.communicate(stdin)
    return process.returncode, out.decode(), err.decode()


@modes
def test_exec_runs_inside_the_pod_and_ends_with_the_commands_code(tmp_path, mode):
    async def act(rig):
        script = 'echo out; echo err >&2; echo "$WHO" > /hearth-test/f; pwd; exit 3'
        code, out, err = await kubectl(rig, "exec", "one", "--", "sh", "-c", script)
        assert (code, out.splitlines()[0]) == (3, "out")
        assert out.splitlines()[1].endswith("/app")
        assert err.splitlines()[0] == "err"
        assert "command terminated with exit code 3" in err
        assert await kubectl(rig, "exec", "one", "--", "cat", "/hearth-test/f") == (0, "me\n", "")

    story(tmp_path, mode, act)


@modes
def test_exec_takes_input_to_its_end(tmp_path, mode):
    async def act(rig):
        big = b"x" * 2**20
        code, out, _ = await kubectl(rig, "exec", "-i", "one", "--", "wc", "-c", stdin=big)
        assert (code, out.strip()) == (0, str(2**20))
        code, out, _ = await kubectl(rig, "exec", "-i", "one", "--", "cat", stdin=big)
        assert (code, len(out)) == (0, 2**20)

    story(tmp_path, mode, act)


@modes
def test_files_can_be_copied_in_and_out(tmp_path, mode):
    async def act(rig):
        (tmp_path / "file").write_bytes(os.urandom(300_000))
        assert (await kubectl(rig, "cp", str(tmp_path / "file"), "one:/hearth-test/copy"))[0] == 0
        assert (await kubectl(rig, "cp", "one:/hearth-test/copy", str(tmp_path / "back")))[0] == 0
        assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()

    story(tmp_path, mode, act)


def test_a_command_may_have_a_terminal(tmp_path):
    async def act(rig):
        ours, theirs = pty.openpty()
        process = await start(
            rig, "exec", "-it", "one", "--", "sh", stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        os.write(ours, b"tty && echo $((40+2)); exit 5\n")
        assert await asyncio.wait_for(process.wait(), 20) == 5
        said = await asyncio.to_thread(os.read, ours, 65536)
        assert re.search(rb"/dev/pts/\d+", said)
        assert b"\r\n42\r\n" in said
        os.close(ours)

    story(tmp_path, "off", act)


def test_what_cannot_be_run_is_said(tmp_path):
    async def act(rig):
        code, _, err = await kubectl(rig, "exec", "one", "--", "no-such-program")
        assert code != 0
        assert "no-such-program" in err
        code, _, err = await kubectl(rig, "exec", "one", "-c", "other", "--", "ls")
        assert code != 0
        assert "container other is not valid" in err
        code, _, err = await kubectl(rig, "exec", "nobody", "--", "ls")
        assert (code, err) == (1, 'Error from server (NotFound): pods "nobody" not found\n')

    story(tmp_path, "off", act)


@modes
def test_a_port_of_a_pod_is_forwarded(tmp_path, mode):
    async def act(rig):
        process = await start(rig, "port-forward", "pod/one", ":8080")
        try:
            line = (await asyncio.wait_for(process.stdout.readline(), 10)).decode()
            port = int(re.search(r"127\.0\.0\.1:(\d+) -> 8080", line)[1])
            for path in ("/a", "/b"):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
                answer = await asyncio.wait_for(reader.read(), 10)
                assert answer.endswith(f"hello {path}".encode())
                writer.close()
        finally:
            process.terminate()
            await process.wait()

    story(tmp_path, mode, act)


def test_a_port_that_nobody_listens_on_is_named(tmp_path):
    async def act(rig):
        process = await start(rig, "port-forward", "pod/one", ":1")
        try:
            line = (await asyncio.wait_for(process.stdout.readline(), 10)).decode()
            port = int(re.search(r"127\.0\.0\.1:(\d+) -> 1", line)[1])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()
            said = (await asyncio.wait_for(process.stderr.readline(), 10)).decode()
            assert "error forwarding port 1 to pod one" in said
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()

    story(tmp_path, "off", act)


def test_attach_follows_the_output(tmp_path):
    async def act(rig):
        process = await start(rig, "attach", "one")
        await asyncio.sleep(0.5)
        await rig.call(await rig.ready("one"), "/x")
        try:
            while line := await asyncio.wait_for(process.stdout.readline(), 10):
                if b"asked" in line:
                    return
        finally:
            process.terminate()
            await process.wait()
        pytest.fail("attach did not show what the pod printed")

    story(tmp_path, "off", act)
