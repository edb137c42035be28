"""docs/cli is what the commands say of themselves."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[3]


def load_tool():
    spec = importlib.util.spec_from_file_location("cli_docs", ROOT / "tools" / "cli_docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_up_to_date():
    want = dict(load_tool().pages())
    have = {path.name: path.read_text() for path in (ROOT / "docs" / "cli").glob("*.md")}
    assert have == want, "run: python tools/cli_docs.py"
