"""What is run in a package, and how it is called."""

from __future__ import annotations

import functools
import sys

import pytest

from hearth.loader.entry import (
    Application,
    Program,
    as_asgi,
    expand,
    find_entry,
    load,
    with_exec,
)
from hearth.loader.packages import CodeError

NAMES = ("app", "application", "handle")


@pytest.fixture
def code(tmp_path, monkeypatch):
    """Make a package of files, importable for the length of the test."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def make(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("____init__", "/__init__").replace("_py", ".py")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return tmp_path

    yield make
    for name in set(sys.modules) - before:
        del sys.modules[name]


def web(line):
    return Program(("/bin/sh", "-c", line))


@pytest.mark.parametrize(
    ("files", "command", "args", "env", "want"),
    [
        pytest.param(
            {"Procfile": "web: x"}, ("serve", "$(PORT)"), ("$$(PORT)", "$(NONE)"), {"PORT": "9"},
            Program(("serve", "9", "$(PORT)", "$(NONE)")), id="command-comes-first",
        ),
        pytest.param(
            {"Procfile": "web: x"}, (), (), {"HEARTH_ENTRYPOINT": "a.b:c.d"},
            Application(("a.b",), ("c.d",)), id="then-the-variable",
        ),
        pytest.param(
            {"Procfile": "worker: y\nweb:  A=1 x $PORT \n", "app_py": ""}, (), (), {},
            web("exec env A=1 x $PORT"), id="then-the-procfile",
        ),
        pytest.param(
            {"Procfile": "web: x"}, (), ("-v", "$(N)"), {"N": "1"},
            Program(("/bin/sh", "-c", 'exec x "$@"', "web", "-v", "1")), id="which-takes-arguments",
        ),
        pytest.param(
            {"wsgi_py": "", "app____init___py": ""}, (), (), {},
            Application(("app", "wsgi"), NAMES), id="then-modules-in-order",
        ),
    ],
)  # fmt: skip
def test_the_first_entry_point_counts(tmp_path, files, command, args, env, want):
    for name, text in files.items():
        path = tmp_path / name.replace("____init__", "/__init__").replace("_py", ".py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert find_entry(tmp_path, command, args, env) == want


@pytest.mark.parametrize(
    ("files", "args", "env", "said"),
    [
        pytest.param({}, (), {}, r"Procfile and for app.py, main.py, wsgi.py, asgi.py", id="none"),
        pytest.param({"Procfile": "worker: x"}, (), {}, "no line 'web: COMMAND'", id="no-web"),
        pytest.param({}, (), {"HEARTH_ENTRYPOINT": "app"}, "expected module:name", id="variable"),
        pytest.param({"app_py": ""}, ("-v",), {}, "there is no command to give them", id="args"),
    ],
)
def test_no_entry_point_says_what_was_looked_for(code, files, args, env, said):
    with pytest.raises(CodeError, match=said) as refused:
        find_entry(code(**files), (), args, env)
    assert refused.value.reason == "CodeInvalid"


def test_a_module_without_an_app_leaves_it_to_the_next(code):
    code(app____init___py="def create(): ...", wsgi_py="def app(environ, start): ...")
    assert type(load(Application(("app", "wsgi"), NAMES))).__name__ == "WSGIMiddleware"


@pytest.mark.parametrize(
    ("text", "reason", "said"),
    [
        pytest.param("import nothing_such", "ImportFailed", "No module named", id="import"),
        pytest.param("1 +", "ImportFailed", "SyntaxError", id="syntax"),
        pytest.param("raise SystemExit(3)", "ImportFailed", r"SystemExit\(3\)", id="exit"),
        pytest.param("x = 1", "CodeInvalid", "has none of app, application, handle", id="no-app"),
        pytest.param("app = 1", "CodeInvalid", "1 cannot be called", id="not-callable"),
    ],
)
def test_code_that_cannot_be_served_says_why(code, text, reason, said):
    code(broken_module_py=text)
    with pytest.raises(CodeError, match=said) as refused:
        load(Application(("broken_module",), NAMES))
    assert refused.value.reason == reason


# fmt: off
async def asgi(scope, receive, send): ...
def wsgi(environ, start_response): ...
def function(request): ...
async def async_function(request): ...
class AsgiObject:
    async def __call__(self, scope, receive, send): ...
class WsgiObject:
    def __call__(self, environ, start_response): ...
class AnyAsgi:
    async def __call__(self, *args): ...
class AnyWsgi:
    def __call__(self, *args, **more): ...
class Handler:
    def __call__(self, request): ...
    def method(self, request): ...
def with_default(request, context=None): ...
# fmt: on


def flask_app():
    from flask import Flask

    return Flask("x")


@pytest.mark.parametrize(
    ("app", "kind"),
    [
        pytest.param(asgi, "itself", id="asgi-function"),
        pytest.param(AsgiObject(), "itself", id="asgi-object"),
        pytest.param(AnyAsgi(), "itself", id="asgi-any-arguments"),
        pytest.param(functools.partial(asgi), "itself", id="asgi-partial"),
        pytest.param(wsgi, "WSGIMiddleware", id="wsgi-function"),
        pytest.param(WsgiObject(), "WSGIMiddleware", id="wsgi-object"),
        pytest.param(AnyWsgi(), "WSGIMiddleware", id="wsgi-any-arguments"),
        pytest.param(flask_app(), "WSGIMiddleware", id="flask"),
        pytest.param(function, "FunctionApp", id="function"),
        pytest.param(async_function, "FunctionApp", id="async-function"),
        pytest.param(with_default, "FunctionApp", id="function-with-default"),
        pytest.param(Handler(), "FunctionApp", id="callable-object"),
        pytest.param(Handler().method, "FunctionApp", id="method"),
    ],
)
def test_apps_are_told_apart_by_how_they_are_called(app, kind):
    served = as_asgi(app, "app")
    assert served is app if kind == "itself" else type(served).__name__ == kind


def test_an_app_of_four_arguments_is_refused():
    with pytest.raises(CodeError, match="takes 4 arguments, expected ASGI, WSGI or a request"):
        as_asgi(lambda a, b, c, d: None, "app")


def test_references_are_replaced_as_kubernetes_does():
    assert expand("$(A)-$(B) $$(A) $A", {"A": "1"}) == "1-$(B) $(A) $A"


@pytest.mark.parametrize(
    ("line", "run"),
    [
        pytest.param("serve $PORT", "exec serve $PORT", id="simple"),
        pytest.param("A=1 B='x y' serve", "exec env A=1 B='x y' serve", id="variables"),
        pytest.param("cd sub && serve", "cd sub && exec serve", id="and"),
        pytest.param("migrate; serve", "migrate; exec serve", id="then"),
        pytest.param("serve 'a && b; c|d'", "exec serve 'a && b; c|d'", id="quoted"),
        pytest.param('serve "it\'s" a\\&b', 'exec serve "it\'s" a\\&b', id="escaped"),
        pytest.param("serve >log 2>/dev/null", "exec serve >log 2>/dev/null", id="redirected"),
        pytest.param("exec serve", "exec serve", id="exec"),
        pytest.param("a || b", "a || b", id="or"),
        pytest.param("a | b", "a | b", id="pipe"),
        pytest.param("a & b", "a & b", id="background"),
        pytest.param("(a; b)", "(a; b)", id="subshell"),
        pytest.param(
            "a $(b | c) `d & e` ${P:-1}", "exec a $(b | c) `d & e` ${P:-1}", id="substitution"
        ),
        pytest.param("serve >log 2>&1", "exec serve >log 2>&1", id="both-redirected"),
        pytest.param("{ a; }", "{ a; }", id="group"),
        pytest.param("cd sub", "cd sub", id="builtin"),
        pytest.param("if a; then b; fi", "if a; then b; fi", id="compound"),
        pytest.param("a;", "a;", id="nothing-last"),
    ],
)
def test_signals_reach_the_program_and_not_its_shell(line, run):
    assert with_exec(line) == run
