"""What the documents name is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_SHORT = {"c/": "tests/system/complaints/", "s/": "tests/system/"}


def test_every_test_that_answers_a_complaint_is_there():
    text = (ROOT / "docs/complaints.md").read_text()
    named = re.findall(r"`((?:c|s|tests|benchmarks)/[\w/]+(?:\.py)?)`", text)
    long = [_SHORT.get(name[:2], "") + name.removeprefix("c/").removeprefix("s/") for name in named]
    assert len(long) > 20
    assert [name for name in long if not (ROOT / name).exists()] == []
