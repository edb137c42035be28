"""``hearth up`` and the four processes it consists of: options to settings, no more.

What they are made of is imported when one is started, so that their help is not.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hearth.cli.command import examples
from hearth.cli.errors import Exit, Failure
from hearth.cli.locate import find_kubeconfig, state_home

if TYPE_CHECKING:
    from hearth.up.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])
_LEVELS = ("debug", "info", "warning", "error")


def _options(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed((*options, *_COMMON)):
            function = option(function)
        return function

    return decorate


_COMMON: tuple[Callable[[Any], Any], ...] = (
    click.option("--config", type=click.Path(path_type=Path), metavar="FILE",
                 help="A TOML file with settings; HEARTH_* variables and options win over it."),
    click.option("--log-level", type=click.Choice(_LEVELS), help="Default: info."),
)  # fmt: skip
_STATE = click.option("--state", type=click.Path(), metavar="DIR",
                      help="Where everything is kept; default: $XDG_STATE_HOME/hearth, that is "
                      "~/.local/state/hearth.")  # fmt: skip
_KUBECONFIG = click.option("--kubeconfig", type=click.Path(path_type=Path), metavar="FILE",
                           help="Names the API server; default: its cluster's in a pod, else "
                           "$KUBECONFIG, else the last 'hearth up', else "
                           "~/.kube/config.")  # fmt: skip
_POOL = click.option("--pool", type=click.IntRange(0), metavar="N",
                     help="Warm pods to keep; default: as before, at first 4.")  # fmt: skip


def _port(name: str, default: int, what: str) -> Callable[[F], F]:
    said = f"{what}; 0 picks a free one. Default: {default}."
    return click.option(name, type=click.IntRange(0, 65535), metavar="N", help=said)


_HTTP_PORT = _port("--http-port", 8080, "Port of the gateway, where apps are called")
_HTTPS_PORT = click.option(
    "--https-port", type=click.IntRange(0, 65535), metavar="N",
    help="Port of the gateway for TLS; default: 0, which picks a free one.",
)  # fmt: skip
_API_PORT = _port("--api-port", 6443, "Port of the API server")
_AUTOSCALER_PORT = _port("--autoscaler-port", 8443, "Port of the autoscaler")


@click.command(
    epilog=examples(
        "hearth up",
        "hearth up --http-port 0 --api-port 0 --state ./state      free ports, a state of its own",
        "hearth up --pool 20",
    )
)
@_options(_STATE, _HTTP_PORT, _HTTPS_PORT, _API_PORT, _POOL)
def up(*, config: Path | None, **flags: Any) -> None:
    """Run the whole platform on this machine.

    API server, controllers, autoscaler, gateway, node and a pool of warm pods, until Ctrl-C. Prints
    the URLs once it is ready, and writes them to ready.json in the state directory.
    """
    from hearth.up import run_up

    _run(lambda: run_up(_settings(config, flags)))


@click.command(epilog=examples("hearth apiserver --state /var/lib/hearth"))
@_options(_STATE, _API_PORT)
def apiserver(*, config: Path | None, **flags: Any) -> None:
    """Run the API server alone.

    Its kubeconfigs are in the state directory.
    """
    from hearth.up import run_apiserver

    _run(lambda: run_apiserver(_settings(config, flags)))


@click.command(epilog=examples("hearth controller --kubeconfig /var/lib/hearth/kubeconfig"))
@_options(_KUBECONFIG, _AUTOSCALER_PORT, _HTTP_PORT, _HTTPS_PORT, _POOL)
def controller(*, config: Path | None, kubeconfig: Path | None, **flags: Any) -> None:
    """Run a shard's controllers alone.

    The serving controllers, the autoscaler and the pools. --http-port and --https-port are the
    gateway's: they are part of the URLs of services.
    """
    from hearth.up import run_controller

    _run(lambda: run_controller(_settings(config, flags), _server(kubeconfig)))


@click.command(
    epilog=examples(
        "hearth gateway --kubeconfig /var/lib/hearth/kubeconfig --http-port 80",
        "hearth gateway --autoscaler 'https://autoscaler-{shard}.example:8443'",
    )
)
@_options(
    _STATE,
    _KUBECONFIG,
    _HTTP_PORT,
    _HTTPS_PORT,
    click.option("--autoscaler", metavar="URL",
                 help="Where a shard's autoscaler is, may hold {shard}; default: "
                 "https://127.0.0.1:8443."),
)  # fmt: skip
def gateway(*, config: Path | None, kubeconfig: Path | None, **flags: Any) -> None:
    """Run a gateway alone.

    Envoy, and the companion that configures it and holds requests.
    """
    from hearth.up import run_gateway

    _run(lambda: run_gateway(_settings(config, flags), _server(kubeconfig)))


@click.command(epilog=examples("hearth node --kubeconfig /var/lib/hearth/kubeconfig"))
@_options(
    _STATE,
    _KUBECONFIG,
    click.option("--node-name", metavar="NAME", help="Default: the host's name."),
)
def node(*, config: Path | None, kubeconfig: Path | None, **flags: Any) -> None:
    """Run a node agent alone.

    It runs the pods of this machine.
    """
    from hearth.up import run_node

    _run(lambda: run_node(_settings(config, flags), _existing(kubeconfig)))


def _settings(config: Path | None, flags: dict[str, Any]) -> Settings:
    """File < environment < options; the state directory has a default that depends on the user."""
    from hearth.kit.settings import SettingsError, load_settings
    from hearth.up.settings import Settings

    try:
        settings = load_settings(Settings, file=config, environ=os.environ, flags=flags)
        if settings.state:
            return settings
        state = {**flags, "state": str(state_home(os.environ))}
        return load_settings(Settings, file=config, environ=os.environ, flags=state)
    except SettingsError as error:
        raise Failure(str(error), Exit.USAGE) from error


def _server(kubeconfig: Path | None) -> Path | None:
    """The kubeconfig to use; None in a pod that is not told of one."""
    from hearth.client.incluster import is_in_cluster

    if kubeconfig is None and is_in_cluster(os.environ):
        return None
    return _existing(kubeconfig)


def _existing(kubeconfig: Path | None) -> Path:
    path = find_kubeconfig(kubeconfig, os.environ)
    if not path.exists():
        said = f"kubeconfig {path}: does not exist, expected the one of an API server"
        raise Failure(said, Exit.UNREACHABLE)
    return path


def _run(process: Callable[[], None]) -> None:
    """Run the process until it was told to end; why it cannot start is a sentence."""
    from hearth.up import StartError

    try:
        process()
    except StartError as error:
        raise Failure(str(error)) from error
