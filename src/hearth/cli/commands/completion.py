"""``hearth completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from hearth.cli.command import examples

_SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog=examples(
        'eval "$(hearth completion bash)"',
        "hearth completion zsh > ~/.zfunc/_hearth",
        "hearth completion fish > ~/.config/fish/completions/hearth.fish",
    )
)
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print a shell's completion script.

    It completes commands, options and the names of services and revisions.
    """
    kind = get_completion_class(shell)
    assert kind is not None, f"click knows {shell}"
    root = click.get_current_context().find_root().command
    click.echo(kind(root, {}, "hearth", "_HEARTH_COMPLETE").source())
