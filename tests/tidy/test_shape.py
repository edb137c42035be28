"""Is the code in shape? Ratchets: they may go down, never up."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src" / "hearth"
LONGEST_FUNCTION_LINES = 50
LONGEST_MODULE_LINES = 600
#: ``Any`` a thousand lines; wire objects are dicts of Any by nature.
ANY_PER_KLOC_MAX = 16

MODULES = sorted(SRC.rglob("*.py"))


def relative(path):
    return str(path.relative_to(ROOT))


def body_lines(function):
    """Lines of a function without its docstring."""
    first = function.body[0]
    doc = (
        first.end_lineno - first.lineno + 1
        if isinstance(first, ast.Expr) and isinstance(getattr(first, "value", None), ast.Constant)
        else 0
    )
    return function.end_lineno - function.lineno + 1 - doc


def functions(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_no_function_is_longer_than_a_screen():
    long = [
        (relative(path), function.name, body_lines(function))
        for path in MODULES
        for function in functions(path)
        if body_lines(function) > LONGEST_FUNCTION_LINES
    ]
    assert long == []


def test_no_function_takes_a_train_of_parameters():
    many = []
    for path in MODULES:
        for function in functions(path):
            positional = [a.arg for a in function.args.args if a.arg not in ("self", "cls")]
            if len(positional) > 6:
                many.append((relative(path), function.name, len(positional)))
    assert many == []


def test_no_module_holds_more_than_one_noun_can_fill():
    long = {relative(p): n for p in MODULES if (n := len(p.read_text().splitlines())) > 600}
    assert long == {}, f"above {LONGEST_MODULE_LINES} lines"


def test_every_module_says_what_it_is_for():
    silent = [
        relative(path) for path in MODULES if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def test_every_core_module_has_a_test_of_its_own():
    missing = []
    for path in MODULES:
        parts = path.relative_to(SRC).parts
        if "core" not in parts[:-1] or path.name == "__init__.py":
            continue
        wanted = ROOT / "tests" / "unit" / Path(*parts[:-1]) / f"test_{path.name}"
        if not wanted.exists():
            missing.append(relative(wanted))
    assert missing == []


def test_init_modules_hold_no_logic():
    logic = []
    for path in MODULES:
        if path.name != "__init__.py":
            continue
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.If | ast.For):
                logic.append((relative(path), type(node).__name__))
    assert logic == []


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        pytest.param(r"log\.\w+\(f[\"']", "log messages are constant", id="f-string-log"),
        pytest.param(r"os\.environ|sys\.argv", "only entry points read them", id="environment"),
    ],
)
def test_banned_calls(pattern, why):
    entry_points = {"cli", "loader", "up"}
    found = [
        f"{relative(path)}:{number}"
        for path in MODULES
        if path.relative_to(SRC).parts[0] not in entry_points
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(pattern, line)
    ]
    assert found == [], why


def test_any_stays_rare():
    text = "\n".join(path.read_text() for path in MODULES)
    per_kloc = len(re.findall(r"\bAny\b", text)) / (len(text.splitlines()) / 1000)
    assert per_kloc <= ANY_PER_KLOC_MAX


def test_no_path_of_one_machine_is_left():
    tracked = [
        p
        for d in ("src", "tests", "docs", "examples", "benchmarks", "tools")
        for p in (ROOT / d).rglob("*")
        if p.is_file() and p.suffix in (".py", ".md", ".yaml", "")
    ]
    found = [
        relative(p)
        for p in tracked
        if re.search(r"(?<![\w.])/(?:wor[k]|roo[t]|far[m])/", p.read_text(errors="ignore"))
    ]
    assert found == []
