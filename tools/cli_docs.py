"""Writes docs/cli/ from the command line's own help: python tools/cli_docs.py [FOLDER]."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from hearth.cli.root import cli

FOLDER = Path(__file__).parents[1] / "docs" / "cli"
WIDTH = 100
HEAD = """# The command line

Written by `tools/cli_docs.py` from the commands' own help.

## Exit codes

| code | meaning |
| --- | --- |
| 0 | done |
| 1 | it was tried and did not work; one sentence on stderr says what, and what was expected |
| 2 | the command line is wrong |
| 3 | an object that is named does not exist |
| 4 | it was waited for and is not ready, or failed on the way |
| 5 | no server is known, or it does not answer |
| 130 | interrupted with Ctrl-C |

Results go to stdout; progress and errors go to stderr.

## Which server

`--kubeconfig`, else `$KUBECONFIG`, else the last `hearth up` of this user, else `~/.kube/config`.

## Commands

| command | what it does |
| --- | --- |
"""


def pages() -> Iterator[tuple[str, str]]:
    """File names and contents."""
    rows = []
    root = click.Context(cli, info_name="hearth", terminal_width=WIDTH, **cli.context_settings)
    for name, command, help_text in commands(root):
        file = f"{name.replace(' ', '-')}.md"
        rows.append(f"| [`{name}`]({file}) | {command.get_short_help_str(200)} |")
        yield file, f"# {name}\n\n```text\n{help_text}\n```\n"
    yield "README.md", HEAD + "\n".join(rows) + "\n"


def commands(parent: click.Context) -> Iterator[tuple[str, click.Command, str]]:
    """All commands below the group of the context, with their full names and help."""
    assert isinstance(parent.command, click.Group)
    for name in parent.command.list_commands(parent):
        command = parent.command.get_command(parent, name)
        assert command is not None
        context = click.Context(command, parent, info_name=name, terminal_width=WIDTH)
        yield context.command_path, command, command.get_help(context)
        if isinstance(command, click.Group):
            yield from commands(context)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    written = set()
    for name, text in pages():
        (folder / name).write_text(text)
        written.add(name)
    for stale in folder.glob("*.md"):
        if stale.name not in written:
            stale.unlink()


if __name__ == "__main__":
    main()
