"""The examples are what users copy: they must be deployable as they are."""

from pathlib import Path

import pytest
import yaml

from hearth.api.resources import resource_for
from hearth.cli.source import find_files
from hearth.loader.entry import find_entry
from hearth.loader.packages import fetch
from hearth.loader.protocol import Package

EXAMPLES = Path(__file__).parents[3] / "examples"
APPS = sorted(path for path in EXAMPLES.iterdir() if path.is_dir() and path.name[0] not in "._")


@pytest.mark.parametrize("app", [pytest.param(app, id=app.name) for app in APPS])
def test_every_example_has_an_entry_point_and_packs(app):
    assert find_entry(app, (), (), {})
    assert find_files(app)


def test_the_manifest_holds_the_same_code_as_the_directory():
    service = yaml.safe_load((EXAMPLES / "hello" / "service.yaml").read_text())
    url = service["spec"]["template"]["metadata"]["annotations"]["hearth.dev/code"]
    source = (EXAMPLES / "hello" / "app.py").read_bytes()
    assert fetch(Package(url)).lstrip(b"\r\n") == source


def test_the_manifest_is_valid():
    service = yaml.safe_load((EXAMPLES / "hello" / "service.yaml").read_text())
    resource = resource_for("serving.knative.dev", "v1", "services")
    assert resource.validate(resource.default(service, None), None) == []


def test_every_example_is_in_the_table():
    table = (EXAMPLES / "README.md").read_text()
    assert [app.name for app in APPS if f"| `{app.name}` |" not in table] == []
