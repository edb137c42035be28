from pathlib import Path

import msgspec

from hearth.up.settings import Settings

DOCUMENT = Path(__file__).parents[3] / "docs" / "settings.md"


def test_every_setting_is_documented_and_no_other():
    rows = [
        line.split("|")[1].strip() for line in DOCUMENT.read_text().splitlines() if "| `" in line
    ]
    documented = {row.strip("`") for row in rows if row.startswith("`")}
    assert documented == {field.name for field in msgspec.structs.fields(Settings)}
