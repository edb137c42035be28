"""The root of all commands."""

from __future__ import annotations

import click

from hearth.cli.command import LazyGroup, examples

_SECTIONS = {
    "Apps": {
        "deploy": "deploy:deploy",
        "list": "services:list_services",
        "describe": "describe:describe",
        "invoke": "invoke:invoke",
        "logs": "logs:logs",
        "traffic": "traffic:traffic",
        "delete": "services:delete",
    },
    "Platform": {
        "up": "processes:up",
        "status": "status:status",
        "pool": "pool:pool",
        "image": "image:image",
    },
    "The platform on a cluster": {
        "check": "install:check",
        "install": "install:install",
        "manifests": "install:manifests",
        "uninstall": "install:uninstall",
    },
    "Single processes of it": {
        "apiserver": "processes:apiserver",
        "controller": "processes:controller",
        "gateway": "processes:gateway",
        "node": "processes:node",
    },
    "This program": {
        "completion": "completion:completion",
        "version": "version:version",
    },
}


@click.group(
    cls=LazyGroup,
    package="hearth.cli.commands",
    sections=_SECTIONS,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
    epilog=examples(
        "hearth up                                start the platform on this machine",
        "hearth deploy hello --source .           deploy the app in this directory",
        "hearth invoke hello                      send it a request",
        "hearth COMMAND --help                    options and examples of a command",
    ),
)
def cli() -> None:
    """Deploy apps that start from a pool of warm pods, and look after them.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 not ready or timed out,
    5 server unknown or unreachable, 130 interrupted.
    """


def main() -> None:
    """Run the command line and exit with its code."""
    cli(prog_name="hearth")
