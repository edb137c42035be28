"""Commands start at once: what is heavy is imported by those that need it."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "command", [["--help"], ["list", "--help"], ["deploy", "--help"], ["list"], ["up", "--help"]]
)
def test_clients_do_not_import_servers(command, tmp_path):
    code = (
        "import sys\n"
        "from hearth.cli.root import cli\n"
        "try:\n"
        f"    cli({command!r}, standalone_mode=False)\n"
        "finally:\n"
        "    heavy = ('aiohttp', 'grpc', 'uvloop', 'hearth.up')\n"
        "    print([name for name in heavy if name in sys.modules])\n"
    )
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=False
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr
