"""Finds what to run in a package, and turns it into an ASGI app."""

from __future__ import annotations

import importlib
import inspect
import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from hearth.loader.packages import CodeError

MODULES = ("app", "main", "wsgi", "asgi")
NAMES = ("app", "application", "handle")
THREADS_MAX = 40  #: for code that is not async; so many requests run at once (anyio has as many)
ENTRYPOINT_VARIABLE = "HEARTH_ENTRYPOINT"  #: ``module:name``, before all else
_REFERENCE = re.compile(r"\$(\$|\(([-._a-zA-Z][-._a-zA-Z0-9]*)\))")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
#: What is whole in itself, what joins commands, and what makes a line more than that.
_SHELL_TOKEN = re.compile(
    r"""'[^']*' | "(?:[^"\\]|\\.)*" | \\. | `[^`]*` | \$\([^()]*\) | \$\{[^}]*\} | [<>]&
    | (?P<joint> && | ;(?!;)) | (?P<more> [;&|()\n] | (?<!\S)[{#])""",
    re.VERBOSE,
)
_KEYWORDS = frozenset(["case", "do", "done", "esac", "fi", "for", "if", "then", "until", "while"])
_BUILTINS = frozenset(
    [".", ":", "cd", "command", "eval", "exec", "exit", "export", "read", "set", "source", "test",
     "trap", "ulimit", "umask", "wait"]
)  # fmt: skip
_TRACEBACK_LINES = 12  #: of a failed import, for the user


@dataclass(frozen=True, slots=True)
class Program:
    """A command line to run."""

    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Application:
    """A Python object to serve: the first of ``names`` that is in the first of ``modules``."""

    modules: tuple[str, ...]
    names: tuple[str, ...]


def find_entry(
    code: Path, command: tuple[str, ...], args: tuple[str, ...], env: Mapping[str, str]
) -> Program | Application:
    """What to run.

    First the container's command, then ``HEARTH_ENTRYPOINT``, then the Procfile's ``web:`` line,
    then the first of app.py, main.py, wsgi.py and asgi.py.

    Raises:
        CodeError: there is none; says what was looked for.
    """
    if command:
        return Program(tuple(expand(word, env) for word in (*command, *args)))
    arguments = tuple(expand(word, env) for word in args)
    entry = env.get(ENTRYPOINT_VARIABLE)
    if not entry and (procfile := code / "Procfile").is_file():
        return _web_process(procfile, arguments)
    if arguments:
        said = f"args {list(args)}: there is no command to give them to, only a Python object"
        raise CodeError("CodeInvalid", said)
    if entry:
        module, _, name = entry.partition(":")
        if not module or not name:
            said = f"{ENTRYPOINT_VARIABLE} is {entry!r}, expected module:name"
            raise CodeError("CodeInvalid", said)
        return Application((module,), (name,))
    if modules := tuple(module for module in MODULES if _is_module(code, module)):
        return Application(modules, NAMES)
    raise CodeError(
        "CodeInvalid",
        f"no entry point: looked for a Procfile and for {', '.join(f'{m}.py' for m in MODULES)} "
        f"with one of {', '.join(NAMES)}; or set {ENTRYPOINT_VARIABLE}=module:name",
    )


def expand(word: str, env: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` as Kubernetes does in commands; unknown names stay, ``$$`` is ``$``."""
    return _REFERENCE.sub(lambda m: "$" if m[1] == "$" else env.get(m[2], m[0]), word)


def with_exec(line: str) -> str:
    """The shell line with ``exec`` before its last command, so that signals reach the program.

    Shells do not do it by themselves (dash 0.5.12), and a shell that waits passes no signal on.
    Lines that are more than commands joined by ``&&`` or ``;`` are left as they are.
    """
    start = 0
    for token in _SHELL_TOKEN.finditer(line):
        if token["more"]:
            return line
        if token["joint"]:
            start = token.end()
    command = line[start:].lstrip()
    first = command.partition(" ")[0]
    if not command or first in _BUILTINS or not _KEYWORDS.isdisjoint(line.split()):
        return line
    how = "exec env " if _ASSIGNMENT.match(first) else "exec "
    return f"{line[:start]} {how}{command}".lstrip()


def _is_module(code: Path, module: str) -> bool:
    return (code / f"{module}.py").is_file() or (code / module / "__init__.py").is_file()


def _web_process(procfile: Path, arguments: tuple[str, ...]) -> Program:
    for line in procfile.read_text(errors="replace").splitlines():
        kind, colon, command = line.partition(":")
        if colon and kind.strip() == "web" and command.strip():
            whole = with_exec(command.strip())
            if not arguments:
                return Program(("/bin/sh", "-c", whole))
            return Program(("/bin/sh", "-c", f'{whole} "$@"', "web", *arguments))
    raise CodeError("CodeInvalid", "Procfile: has no line 'web: COMMAND'")


def load(entry: Application) -> Any:
    """Import the module and make its object an ASGI app.

    Raises:
        CodeError: ``ImportFailed`` with the end of the traceback, or ``CodeInvalid``.
    """
    importlib.invalidate_caches()
    for name in entry.modules:
        module = _import(name)
        if (found := _object(module, entry.names)) is not None:
            return as_asgi(found, name)
    where = " and ".join(entry.modules)
    raise CodeError("CodeInvalid", f"module {where}: has none of {', '.join(entry.names)}")


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except BaseException as error:
        lines = traceback.format_exception(error)
        own = "".join(lines).splitlines()[-_TRACEBACK_LINES:]
        said = f"cannot import {name}: {error!r}\n" + "\n".join(own)
        raise CodeError("ImportFailed", said) from error


def _object(module: ModuleType, names: tuple[str, ...]) -> Any:
    for name in names:
        found: Any = module
        for step in name.split("."):
            found = getattr(found, step, None)
        if found is not None:
            return found
    return None


def as_asgi(app: Any, where: str) -> Any:
    """An ASGI app from an ASGI or WSGI app or a function of one request.

    Raises:
        CodeError: it is none of them.
    """
    if not callable(app):
        raise CodeError("CodeInvalid", f"module {where}: {app!r} cannot be called")
    call = app if inspect.isroutine(app) else type(app).__call__
    if inspect.isclass(app):
        return app  # an ASGI app may be a class that is awaited
    parameters = _positional(app)
    if inspect.iscoroutinefunction(call) and parameters != 1:
        return app
    if parameters == 3:
        return app
    if parameters == 2:
        from a2wsgi import WSGIMiddleware

        return WSGIMiddleware(app, workers=THREADS_MAX)
    if parameters == 1:
        from hearth.loader.function import FunctionApp

        return FunctionApp(app, THREADS_MAX)
    said = f"module {where}: {app!r} takes {parameters} arguments, expected ASGI, WSGI or a request"
    raise CodeError("CodeInvalid", said)


def _positional(app: Callable[..., Any]) -> int:
    """How many arguments a caller must or may give by position (``*args`` counts as ASGI's 3)."""
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return 2  # built in C: WSGI is the older convention
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return 3 if inspect.iscoroutinefunction(app) else 2
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in kinds and p.default is p.empty for p in parameters)
