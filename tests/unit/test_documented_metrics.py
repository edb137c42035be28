"""Every figure is in docs/observability.md."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from prometheus_client import REGISTRY

from hearth.autoscaler.figures import _FAMILIES

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "observability.md").read_text()


def test_every_figure_is_documented():
    for path in (ROOT / "src" / "hearth").glob("*/instruments.py"):
        importlib.import_module(f"hearth.{path.parent.name}.instruments")
    written = {
        name
        for path in (ROOT / "src" / "hearth").rglob("*.py")
        for name in re.findall(
            r'"((?:hearth|kn)_[a-z_]+)",\s+"(?:gauge|counter)"', path.read_text()
        )
    }
    names = set(_FAMILIES) | written
    for found in REGISTRY.collect():
        if found.name.startswith(("hearth_", "kn_", "apiserver_")):
            names.add(f"{found.name}_total" if found.type == "counter" else found.name)
    assert len(names) > 35
    assert sorted(name for name in names if f"`{name}`" not in DOCUMENT) == []
