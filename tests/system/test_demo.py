"""The demo is what README opens with: it must work, quickly, and leave nothing behind."""

from __future__ import annotations

import subprocess
import sys
import time

from tests.system.running import EXAMPLES


def test_the_demo_tells_its_story_within_a_minute():
    started = time.monotonic()
    command = [sys.executable, str(EXAMPLES / "demo.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - started < 60
    for phase in ("held", "claimed", "injected", "listening", "released", "first byte"):
        assert done.stdout.count(f"  {phase} ") == 3, phase
    assert "none is left" in done.stdout
