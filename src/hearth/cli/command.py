"""The shape that all commands share: examples in the help, common options, errors."""

from __future__ import annotations

import asyncio
import functools
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from hearth.api.errors import ApiError
from hearth.cli.errors import Exit, failure_of
from hearth.cli.session import Target

F = TypeVar("F", bound=Callable[..., Any])
OUTPUTS = ("table", "json", "yaml", "name")


def examples(*lines: str) -> str:
    """An epilog that shows how the command is used."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def server_options(function: F) -> F:
    """Give the command ``--kubeconfig`` and ``--context``, as part of its ``target`` argument."""
    return _with_target(function, _server_options())


def common_options(function: F) -> F:
    """Give the command ``--namespace`` and ``--output`` as well."""
    own = [
        click.option("--namespace", "-n", default="", metavar="NAME",
                     help="Namespace; default: the kubeconfig's."),
        click.option("--output", "-o", type=click.Choice(OUTPUTS), default="table",
                     show_default=True, help="How to print the result."),
    ]  # fmt: skip
    return _with_target(function, [*own, *_server_options()])


def _server_options() -> list[Callable[[Any], Any]]:
    return [
        click.option("--kubeconfig", type=click.Path(path_type=Path), default=None,
                     help="Names the server; default: $KUBECONFIG, else the last 'hearth up', "
                     "else ~/.kube/config."),
        click.option("--context", default="", metavar="NAME",
                     help="Context of the kubeconfig; default: its current one."),
    ]  # fmt: skip


def _with_target(function: F, options: list[Callable[[Any], Any]]) -> F:
    @functools.wraps(function)
    def wrapped(
        *args: Any,
        kubeconfig: Path | None,
        context: str,
        namespace: str = "",
        output: str = "table",
        **kwargs: Any,
    ) -> Any:
        return function(*args, target=Target(namespace, output, kubeconfig, context), **kwargs)

    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]  # click's decorators keep the shape


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is used, and maps errors."""

    def __init__(
        self, *args: Any, package: str, sections: Mapping[str, Mapping[str, str]], **kwargs: Any
    ) -> None:
        """Find ``MODULE:ATTRIBUTE`` of each command, by section and name, in ``package``."""
        super().__init__(*args, **kwargs)
        self._package = package
        self._sections = sections
        self._modules = {n: where for names in sections.values() for n, where in names.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they were given: the most used first."""
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command, or None when there is none of that name."""
        if cmd_name not in self._modules:
            return None
        module, _, attribute = self._modules[cmd_name].partition(":")
        found = importlib.import_module(f"{self._package}.{module}")
        command: click.Command = getattr(found, attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """A list for each section."""
        for section, names in self._sections.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(section):
                formatter.write_dl([(n, c.get_short_help_str()) for n, c in commands if c])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what the world did wrong becomes a sentence and an exit code."""
        try:
            return super().invoke(ctx)
        except (ApiError, ConnectionError) as error:
            raise failure_of(error) from error
        except (KeyboardInterrupt, asyncio.CancelledError):
            click.echo(err=True)
            raise click.exceptions.Exit(int(Exit.INTERRUPTED)) from None
